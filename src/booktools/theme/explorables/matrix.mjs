// What do repeated factors D W do to a vector? (book/matrices.md)

import { inputs, schur, vectors } from "./arithmetic.mjs";
import { canvas, choice, clamp, decades, formula, handle, html, nice, show, slider, upgrade }
  from "./shared.mjs";

const LAGS = 12;
const LIMIT = 1.5; // of the real and imaginary parts
const start = { kind: "complex", pair: [0.75, 0.5], c: 0, g: 0, angle: 0.4, lag: 3 };
const presets = {
  '"turn"': { kind: "complex", pair: [0.75, 0.5], c: 0, g: 0, angle: 0.4 },
  '"two speeds"': { kind: "real", pair: [0.95, 0.5], c: 0, g: 0, angle: 0.9 },
  '"flip"': { kind: "real", pair: [0.6, -0.9], c: 0, g: 0, angle: 0.9 },
  '"grow"': { kind: "complex", pair: [0.95, 0.5], c: 0, g: 0, angle: 0.4 },
  '"grow, then fade"': { kind: "real", pair: [0.85, 0.7], c: 1.5, g: 0, angle: 1.5 },
  '"saturate"': { kind: "complex", pair: [0.95, 0.5], c: 0, g: 1.2, angle: 0.4 },
};

const round = (value) => Math.round(value * 100) / 100;
const length = ([x, y]) => Math.hypot(x, y);

/** An entry of a matrix: two decimals, so that columns align. */
const entry = (value) =>
  value && Math.abs(value) < 1000 ? value.toFixed(2).replace("-", "−") : show(value);

/** What follows from the state; the eigenvalues as points of the complex plane. */
function solve(state) {
  const { kind, pair: [a, b], c, g, angle } = state;
  const complex = kind === "complex";
  const W = schur({ complex, pair: [a, b], c });
  const run = vectors(W, inputs(g, LAGS), [Math.cos(angle), Math.sin(angle)]);
  const eigenvalues = complex ? [[a, b], [a, -b]] : [[a, 0], [b, 0]];
  const sizes = eigenvalues.map(length);
  return { ...state, complex, W, ...run, eigenvalues, sizes, radius: Math.max(...sizes),
    lengths: run.dh.map(length) };
}

function view(model) {
  const { svg, redraw } = canvas("Eigenvalues of W, the vectors lag by lag, and their lengths", picture);
  let plane;
  let space;

  /** Put eigenvalue i at a point. A real pair that leaves the axis becomes a conjugate one, and back. */
  const setEigenvalue = (i, re, im) => {
    const { kind, pair } = model.state;
    const [x, y] = [re, im].map((value) => clamp(round(value), -LIMIT, LIMIT));
    const height = kind === "complex" && i ? -y : Math.abs(y);
    if (kind === "complex" && height < 0.07) model.update({ kind: "real", pair: [x, x] });
    else if (kind === "complex" || height > 0.12) model.update({ kind: "complex", pair: [x, height] });
    else model.update({ pair: pair.with(i, x) });
  };
  const handles = [0, 1].map((i) => handle(svg, {
    label: `Eigenvalue ${i + 1} of W`, limit: LIMIT, kind: "W",
    drag: (x, y) => setEigenvalue(i, (x - plane.x) / plane.unit, (plane.y - y) / plane.unit),
    keys: (right, up) => {
      const { complex, eigenvalues: { [i]: [re, im] } } = solve(model.state);
      setEigenvalue(i, re + 0.05 * right, im + (complex ? 0.05 : 0.15) * up);
    },
  }));
  const turn = (angle) => model.update({ angle: Math.atan2(Math.sin(angle), Math.cos(angle)) });
  const tip = handle(svg, {
    label: "Direction of d h 0, in degrees", limit: 180, kind: "other",
    drag: (x, y) => turn(Math.atan2(space.y - y, x - space.x)),
    keys: (right, up) => turn(model.state.angle + (up - right) * (Math.PI / 36)),
  });

  function picture(pen, width) {
    const s = solve(model.state);
    const wide = width >= 576;
    const left = wide ? width * 0.42 : width;
    const tall = wide ? Math.min(280, left) : 200;
    plane = { x: left / 2, y: 24 + tall / 2, unit: tall / 3.3 };
    const top = wide ? 24 : tall + 54;
    const high = wide ? tall : 220;
    space = { x: width - (wide ? width - left : width) / 2, y: top + high / 2 };
    const unit = (high / 2 - 8) / nice(1.1 * Math.max(1, ...s.lengths), [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10]);

    pen.text("head plane", 0, 14, '"eigenvalues of "W", to drag"', "start");
    const reach = 1.58 * plane.unit;
    pen.line("real", plane.x - reach, plane.y, plane.x + reach, plane.y, "ex-axis");
    pen.line("imaginary", plane.x, plane.y - reach, plane.x, plane.y + reach, "ex-axis");
    pen("circle", "unit", { cx: plane.x, cy: plane.y, r: plane.unit, class: "ex-unit" });
    pen.text("one", plane.x + plane.unit + 4, plane.y + 15, "1", "start", "ex-small");
    pen.text("i", plane.x + 6, plane.y - plane.unit - 5, "i", "start", "ex-small");
    s.eigenvalues.forEach(([re, im], i) => {
      const [x, y] = [plane.x + plane.unit * re, plane.y - plane.unit * im];
      const outward = re < s.eigenvalues[1 - i][0] ? -12 : 12;
      if (s.complex) pen.text(`name${i}`, x + 13, y - (i ? -18 : 14), `λ_${i + 1}`, "start");
      else pen.text(`name${i}`, x + outward, y - 14, `λ_${i + 1}`);
      handles[i].move(x, y, re, im ? `${show(re)} ${im < 0 ? "−" : "+"} ${show(Math.abs(im))} i` : show(re));
    });

    pen.text("head space", wide ? left : 0, top - 10, '"d"h_ℓ = D_ℓW ··· D_1W" d"h_0', "start");
    pen("circle", "one circle", { cx: space.x, cy: space.y, r: unit, class: "ex-unit" });
    const points = s.dh.map(([x, y]) => [space.x + unit * x, space.y - unit * y]);
    pen("polyline", "trail", { points: points.join(" "), class: "ex-trail" });
    points.forEach(([x, y], lag) => {
      const style = `${lag ? "" : "ex-first"} ${lag === s.lag ? "ex-chosen" : ""}`;
      const opacity = lag && lag !== s.lag ? 0.6 - 0.4 * (lag / LAGS) : 1;
      pen.line(`vector${lag}`, space.x, space.y, x, y, `ex-vector ${style}`).setAttribute("opacity", opacity);
      pen("circle", `tip${lag}`, { cx: x, cy: y, r: lag === s.lag ? 5 : 3, opacity, class: `ex-tip ${style}` });
    });
    for (const lag of new Set([0, s.lag])) {
      const [dx, dy] = [points[lag][0] - space.x, points[lag][1] - space.y];
      const further = 1 + 19 / (Math.hypot(dx, dy) || 1);
      pen.text(lag ? "name" : "first", space.x + further * dx, space.y + further * dy + 4, `"d"h_{${lag}}`,
        "middle", "ex-halo");
    }
    const degrees = Math.round((s.angle * 180) / Math.PI);
    tip.move(...points[0], degrees, `${degrees} degrees`.replace("-", "−"));

    const strip = { top: top + high + 40, bottom: top + high + 130, left: 36 };
    const column = (width - strip.left) / (LAGS + 1);
    const x = (lag) => strip.left + (lag + 0.5) * column;
    const nonzero = s.lengths.filter(Boolean);
    const [y, ticks] = decades(Math.max(1, ...nonzero), Math.min(...nonzero), strip.top, strip.bottom);
    pen.text("head strip", 0, strip.top - 16, '"length of d"h_ℓ" by lag "ℓ', "start");
    pen.text("head dashed", width, strip.top - 16, '"dashed: largest "|λ|^ℓ', "end", "ex-small");
    pen.scale("length", ticks, y, strip.left, width, 1);
    s.lengths.forEach((value, lag) => {
      const chosen = lag === s.lag ? "ex-chosen" : "";
      pen.bar(`bar${lag}`, x(lag), Math.min(26, column * 0.62), strip.bottom, value ? y(value) : strip.bottom,
        `ex-bar ex-plus ${chosen}`);
      pen.text(`lag${lag}`, x(lag), strip.bottom + 18, `${lag}`, "middle", `ex-small ${chosen}`);
      pen.touch(`touch${lag}`, x(lag), strip.top, column, 114, () => model.update({ lag }));
    });
    const dashed = s.lengths.map((_, lag) => [x(lag), Math.max(strip.top, y(s.radius ** lag))]);
    pen("polyline", "dashed", { points: dashed.join(" "), class: "ex-dashed" });
    return strip.bottom + 24;
  }

  const equation = html("div", { class: "ex-line ex-equation" });
  const named = (rows, sign) => html("span", { class: "ex-part" }, html("span", { class: "ex-matrix" },
    ...rows.map((row) => html("span", {}, ...row.map((value) => html("b", {}, entry(value)))))), formula(sign));
  const column = ([x, y], sign) => named([[x], [y]], sign);

  function draw(state) {
    const s = solve(state);
    redraw();
    const { lag, D, W, dh } = s;
    equation.replaceChildren(column(dh[lag], `"d"h_{${lag}}`), ...(lag ? [html("span", {}, "="),
      named([[D[lag][0], 0], [0, D[lag][1]]], `D_{${lag}}`), named(W, "W"),
      column(dh[lag - 1], `"d"h_{${lag - 1}}`)] : [html("span", {}, "is given;"), named(W, "W")]));
    return describe(s);
  }

  return {
    draw,
    parts: [
      svg, equation,
      html("div", { class: "ex-row" },
        choice(model, "kind", '"eigenvalues"', { real: '"real"', complex: '"complex pair"' }, (kind) => {
          const [a, b] = model.state.pair;
          return { kind, pair: kind === "complex" ? [round((a + b) / 2), 0.5]
            : [round(Math.min(LIMIT, a + 0.2)), round(a - 0.2)] };
        })),
      html("div", { class: "ex-sliders" },
        slider(model, "lag", "ℓ", "lag", [0, LAGS, 1]),
        slider(model, "c", "s", "non-normality", [0, 3, 0.05]),
        slider(model, "g", "g", "input size", [0, 2, 0.05])),
    ],
  };
}

function describe({ complex, sizes, radius, lengths, g, D, lag }) {
  const inside = radius < 1;
  const equal = complex || sizes[0] === sizes[1];
  let said = equal ? `Both eigenvalues have size ${show(radius)}`
    : `The eigenvalues have sizes ${show(sizes[0])} and ${show(sizes[1])}`;
  if (!g && radius !== 1) {
    said += inside ? ": in the end every vector fades" : ": almost every vector grows in the end";
  }
  const most = Math.max(...lengths);
  if (inside && most > 1.02) {
    said += `. But the length first grows to ${show(most)}, at lag ${lengths.indexOf(most)}: $W$ is not normal`;
  }
  const slopes = D.slice(1).flat();
  const end = lag < LAGS ? `, at lag ${LAGS} it is ${show(lengths[LAGS])}` : "";
  return `${said}. ${g ? `The slopes in $D_1$ to $D_{${LAGS}}$ lie between ${show(Math.min(...slopes))} and ${
    show(Math.max(...slopes))}.` : "Without inputs every $D_t$ is the identity matrix."} At lag ${lag} the length is ${
    show(lengths[lag])}${end}.`;
}

upgrade("matrix", { question: "What do repeated factors $DW$ do to a vector?", start, presets,
  whole: ["kind", "lag"], view });
