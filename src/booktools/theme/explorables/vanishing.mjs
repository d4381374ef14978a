// Which number tells whether the gradient vanishes? (book/vanishing.md)

import { growth, inputs, radius, reach, scaled, slopes, stretch } from "./arithmetic.mjs";
import { canvas, choice, clamp, decades, handle, html, rounded, show, slider, upgrade } from "./shared.mjs";

const LAGS = 30;
const STEPS = 1000; // of the run that the exponent is measured on
const start = { W: [[0.9, 1.8], [0, 0.8]], p: 0, q: 0, g: 0, lag: 6, plane: 2 };
const presets = {
  '"all agree"': { W: [[0.72, -0.54], [0.54, 0.72]], p: 0, q: 0, g: 0, plane: 2 },
  '"grow, then fade"': { W: start.W, p: 0, q: 0, g: 0, plane: 2 },
  '"eigenvalues 0, and it explodes"': { W: [[8, 8], [-8, -8]], p: 0, q: 0.5, g: 0, plane: 10 },
  '"eigenvalue 2, and it vanishes"': { W: [[2, 0], [0, 2]], p: 0.96, q: 0.96, g: 0, plane: 2 },
  '"inputs"': { W: [[1.3, -0.8], [0.8, 1.3]], p: 0, q: 0, g: 1.2, plane: 2 },
};

// In the words and colours of the static figures of the chapter. The lines are of falling width, so
// that none hides another that it lies on.
const NAMES = {
  norm: ["‖W‖", "norm", "ex-other", 4],
  radius: ["ρ(W)", "radius", "ex-U", 2.75],
  exponent: ["e^{χ}", "exponent", "ex-W", 1.75],
  gradient: ["", "gradient", "ex-ink"],
};
const LEAST = 1 / 8; // the left end of the scale of factors

/** What follows from the state: the four factors per step, and the gradient's norm by lag. */
function solve(state) {
  const { W, p, q, g, lag } = state;
  const D = slopes(W, [p, q], inputs(g, STEPS));
  const norms = reach(W, D, LAGS);
  const exponent = g ? growth(W, D) : radius(scaled(D[0], W)); // at rest all D_t are alike
  return { ...state, D, norms,
    factors: { norm: stretch(W), radius: radius(W), exponent, gradient: norms[lag] ** (1 / lag) } };
}

function view(model) {
  const { svg, redraw } = canvas("W as what it does to a circle, four factors per step, and the gradient by lag", picture);
  let plane;

  const setColumn = (j, x, y) => {
    const { W, plane: limit } = model.state;
    const put = [x, y].map((value) => clamp(Math.round(value * 20) / 20, -limit, limit));
    model.update({ W: W.map((row, i) => row.with(j, put[i])) });
  };
  const columns = [0, 1].map((j) => handle(svg, {
    label: `Column ${j + 1} of W`, limit: 10, kind: "ink", sign: `${j + 1}`,
    drag: (x, y) => setColumn(j, (x - plane.x) / plane.unit, (plane.y - y) / plane.unit),
    keys: (right, up) => {
      const { W, plane: limit } = model.state;
      setColumn(j, W[0][j] + 0.05 * limit * right, W[1][j] + 0.05 * limit * up);
    },
  }));

  function picture(pen, width) {
    const s = solve(model.state);
    const { W, lag, factors, norms } = s;
    const wide = width >= 560;
    const left = wide ? width * 0.4 : width;
    const tall = wide ? Math.min(260, left) : 210;
    plane = { x: left / 2, y: 24 + tall / 2, unit: (tall / 2 - 10) / s.plane };

    pen.text("head plane", 0, 14, '"columns 1 and 2 of "W", to drag"', "start");
    const edge = tall / 2;
    pen.line("across", plane.x - edge, plane.y, plane.x + edge, plane.y, "ex-grid");
    pen.line("up", plane.x, plane.y - edge, plane.x, plane.y + edge, "ex-grid");
    pen("circle", "unit", { cx: plane.x, cy: plane.y, r: plane.unit, class: "ex-unit" });
    const at = ([x, y]) => [plane.x + plane.unit * x, plane.y - plane.unit * y];
    const image = Array.from({ length: 73 }, (_, i) => {
      const [cos, sin] = [Math.cos(i * Math.PI / 36), Math.sin(i * Math.PI / 36)];
      const point = W.map(([a, b]) => a * cos + b * sin);
      const beyond = Math.max(1, ...point.map((value) => Math.abs(value) / (1.04 * s.plane)));
      return point.map((value) => value / beyond); // no further than the edge
    });
    const points = image.map(at).join(" ");
    pen("polygon", "inside", { points, class: "ex-factor ex-other", "fill-opacity": 0.15 });
    pen("polygon", "image", { points, class: "ex-promise ex-other" });
    const far = image.reduce((best, point) => (Math.hypot(...point) > Math.hypot(...best) ? point : best));
    const [fx, fy] = at(far);
    pen.line("far", plane.x, plane.y, fx, fy, "ex-promise ex-other");
    const tips = columns.map(({ move }, j) => {
      const column = W.map((row) => row[j]);
      const [x, y] = at(column);
      pen.line(`column${j}`, plane.x, plane.y, x, y, "ex-cut");
      move(x, y, column[0], `${show(column[0])}, ${show(column[1])}`);
      return [x, y];
    });
    const [tip, other] = tips;
    if (Math.hypot(tip[0] - other[0], tip[1] - other[1]) < 12) { // one lies under the other
      const right = (tip[0] < plane.x) === (tip[1] < plane.y); // where no vector runs
      pen.text("both", tip[0] + (right ? 12 : -12), tip[1] - 8, '"1 and 2"', right ? "start" : "end", "ex-small ex-halo");
    }

    // The four factors per step, on a scale of powers of two: names, then room for a value on each side.
    const bars = { left: wide ? left + 20 : 0, top: wide ? 24 : tall + 58, row: wide ? 46 : 38 };
    const [from, to] = [bars.left + 148, width - 44];
    const most = Math.max(4, 2 ** Math.ceil(Math.log2(Math.max(...Object.values(factors))) - 1e-9));
    const x = (value) => from + (Math.log2(value / LEAST) / Math.log2(most / LEAST)) * (to - from);
    pen.text("head bars", bars.left, bars.top - 10, '"factor per step back"', "start");
    const bottom = bars.top + 4 * bars.row;
    for (const value of most > 4 ? [1 / 4, 1, 4, 16] : [1 / 4, 1 / 2, 1, 2, 4]) {
      if (value > most) continue;
      const name = value < 1 ? `1/${1 / value}` : value;
      pen.line(`factor ${name}`, x(value), bars.top, x(value), bottom, value === 1 ? "ex-axis" : "ex-grid");
      pen.text(`at ${name}`, x(value), bottom + 15, `"${name}"`, "middle", "ex-small");
    }
    Object.entries(factors).forEach(([key, value], i) => {
      const [sign, meaning, style] = NAMES[key];
      const middle = bars.top + (i + 0.5) * bars.row;
      pen.text(`name ${key}`, bars.left, middle + 4, `${sign}${sign ? '" "' : ""}"${meaning}${sign ? "" : ` at lag ${lag}`}"`,
        "start", "ex-small");
      const off = value < LEAST;
      if (!off) {
        pen("rect", `bar ${key}`, { x: Math.min(x(1), x(value)), y: middle - 8, height: 16, rx: 1.5,
          width: Math.max(1, Math.abs(x(value) - x(1))), class: `ex-factor ${style}` });
      }
      const side = value < 1 ? -6 : 6;
      pen.text(`value ${key}`, (off ? x(1) : x(value)) + side, middle + 4,
        off ? `"${value < 1e-9 ? 0 : show(+value.toPrecision(1))} (off scale)"` : `"${show(value)}"`,
        side < 0 ? "end" : "start", "ex-small ex-chosen ex-halo");
    });
    pen.text("vanish", x(1) - 6, bottom + 34, '"‹ vanishes"', "end", "ex-small");
    pen.text("explode", x(1) + 6, bottom + 34, '"explodes ›"', "start", "ex-small");

    const strip = { left: 36, top: Math.max(wide ? 24 + tall : 0, bottom + 46) + 52, high: 130 };
    strip.bottom = strip.top + strip.high;
    const column = (width - strip.left - 66) / LAGS;
    const xLag = (l) => strip.left + l * column;
    const seen = norms.filter((value) => value > 1e-12);
    const [y, ticks] = decades(Math.max(10, ...seen), Math.min(0.1, ...seen), strip.top, strip.bottom);
    pen.text("head strip", 0, strip.top - 18, '"norm of ∂"h_T"/∂"h_{T−ℓ}" by lag "ℓ', "start");
    pen.scale("norm", ticks, y, strip.left, xLag(LAGS), 1);
    // What a factor per step promises is a straight line, as far as the strip goes.
    const perDecade = y(1) - y(10);
    const ends = [strip.bottom, strip.top - 8].map((edge) => (y(1) - edge) / perDecade);
    const names = ["norm", "radius", "exponent"].map((key) => {
      const [, name, style, thick] = NAMES[key];
      const rate = Math.max(-99, Math.log10(factors[key]));
      const last = Math.min(LAGS, rate ? Math.max(...ends.map((end) => end / rate)) : LAGS);
      const [right, height] = [xLag(last), y(1) - rate * last * perDecade];
      pen.line(`line ${key}`, xLag(0), y(1), right, height, `ex-promise ${style}`).style.strokeWidth = thick;
      return { name, style, x: right + 6, y: clamp(height + 4, strip.top + 4, strip.bottom - 6) };
    }).sort((a, b) => a.y - b.y);
    names.forEach((one, i) => { // below each other where lines end together
      for (const above of names.slice(0, i)) {
        if (Math.abs(above.x - one.x) < 60) one.y = Math.max(one.y, above.y + 13);
      }
    });
    norms.forEach((value, l) => {
      if (!l) return;
      pen("circle", `dot${l}`, { cx: xLag(l), cy: value ? Math.max(strip.top - 8, y(value)) : strip.bottom,
        r: l === lag ? 6 : 3.2, class: l === lag ? "ex-node ex-on ex-ink" : "ex-state" });
      pen.touch(`touch${l}`, xLag(l), strip.top - 8, column, strip.high + 30, () => model.update({ lag: l }));
    });
    names.forEach(({ name, style, x: left, y: base }) =>
      pen.text(`end ${name}`, left, base, `"${name}"`, "start", `ex-small ex-sign ex-halo ${style}`));
    for (let l = 0; l <= LAGS; l += 5) {
      pen.text(`lag${l}`, xLag(l), strip.bottom + 18, `${l}`, "middle", "ex-small");
    }
    return strip.bottom + 24;
  }

  function draw(state) {
    redraw();
    return describe(solve(state));
  }

  return {
    draw,
    parts: [
      svg,
      html("div", { class: "ex-row" },
        choice(model, "plane", '"plane to"', { 2: '"± 2"', 10: '"± 10"' }, (value) => ({
          plane: +value,
          W: model.state.W.map((row) => row.map((entry) => clamp(entry, -value, value))),
        }))),
      html("div", { class: "ex-sliders" },
        slider(model, "lag", "ℓ", "lag", [1, LAGS, 1]),
        slider(model, "p", "h_1", "rest of unit 1", [-0.98, 0.98, 0.02], rounded),
        slider(model, "q", "h_2", "rest of unit 2", [-0.98, 0.98, 0.02], rounded),
        slider(model, "g", "g", "input size", [0, 2, 0.05])),
    ],
  };
}

const fate = (factor) => (factor > 1.005 ? "explode" : factor < 0.995 ? "vanish" : "stay");

function describe({ factors: { norm, radius: rho, exponent, gradient }, norms, lag, g, W }) {
  const said = [`$W$ has the rows (${W.map((row) => row.map(rounded).join(", ")).join(") and (")}).`];
  said.push(`The Lyapunov exponent says ${exponent < 1e-9 ? "that the gradient ends after a few steps"
    : `that in the long run each step back multiplies the gradient by ${show(exponent)}`}: ${
    { explode: "it explodes", vanish: "it vanishes", stay: "it neither vanishes nor explodes" }[fate(exponent)]}.`);
  if (fate(rho) !== fate(exponent)) {
    said.push(`The eigenvalues of $W$ say otherwise: the largest has size ${show(rho)}.`);
  } else if (norm > 1 && exponent < 1) said.push("The norm of $W$ promises nothing, for it is above 1.");
  const most = Math.max(...norms);
  if (exponent < 0.995 && most > 1.02) {
    said.push(`On the way the gradient grows to ${show(most)}, at lag ${norms.indexOf(most)}.`);
  }
  said.push(`Over ${lag} ${lag > 1 ? "steps" : "step"} it has changed by a factor of ${show(norms[lag])}, which is ${
    show(gradient)} per step.`);
  if (g) said.push("Inputs flatten the slopes.");
  return said.join(" ");
}

upgrade("vanishing", { question: "Which number tells whether the gradient vanishes?", start, presets,
  whole: ["lag", "plane"], view });
