// How much does each step back add to dh_T/dw? (book/forgotten-rule.md)

import { NONLINEARITIES, path, sum, summands } from "./arithmetic.mjs";
import { canvas, choice, clamp, decades, handle, html, nice, show, slider, ticks, typeset,
  upgrade, writeProduct } from "./shared.mjs";

const STEPS = 9;
const start = {
  sigma: "tanh", scale: "linear", w: 0.9, u: 0.5, h0: 0.6, T: 6, lag: 2,
  x: [0.8, -0.4, 0.6, 0.9, -0.2, 0.3, 0.7, -0.5, 0.4],
};
const steady = Array(STEPS).fill(1); // in "grow" and "alternate" it keeps every state at 0.5
const presets = {
  '"fade"': { sigma: "tanh", w: 0.5, u: 0.6, h0: 0.5, T: 8, x: start.x },
  '"saturate"': { sigma: "tanh", w: 1.6, u: 0.5, h0: 0.5, T: 8, x: steady },
  '"grow"': { sigma: "identity", w: 1.4, u: -0.2, h0: 0.5, T: 8, x: steady },
  '"alternate"': { sigma: "identity", w: -0.8, u: 0.9, h0: 0.5, T: 8, x: steady },
  "h_0 = 0": { h0: 0, lag: STEPS - 1 },
};

const kind = (value) => (value < 0 ? "ex-minus" : "ex-plus");

/** What follows from the state; only the first T inputs count. k is the step the lag reaches. */
function solve(state) {
  const { w, T } = state;
  const solution = summands({ ...state, x: state.x.slice(0, T) });
  const lag = Math.min(state.lag, T - 1);
  const k = T - lag;
  return { ...state, ...solution, lag, k, factors: path(solution, w, T, k, true),
    total: sum(solution.terms) };
}

// The rows of the picture, in pixels: where each stands, and how high 1 is drawn in it.
const PLOT = { top: 30, bottom: 172 };
const SLOPES = { base: 268, unit: 32 };
const STATES = { base: 328, unit: 22 };
const INPUTS = { base: 416, unit: 15 };
const HEIGHT = 472;
const GUTTER = 34;

/** The linear scale of the bars: y and its ticks [value, text]. It opens below zero if need be. */
function linear(values, top, bottom) {
  const reach = (side) => Math.max(0, ...values.map((value) => side * value));
  const round = (value) => value && nice(1.1 * value, [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10]);
  const low = round(reach(-1));
  const high = Math.max(round(reach(1)), 0.4 - low);
  const unit = (bottom - top) / (high + low);
  const step = nice((high + low) / 4);
  const marked = [];
  for (let i = -Math.floor(low / step + 0.01); i * step < high * 1.01; i++) marked.push(i * step);
  return [(value) => top + (high - value) * unit, ticks(marked)];
}

function view(model) {
  const setInput = (i, value) =>
    model.update({ x: model.state.x.with(i, clamp(Math.round(value * 20) / 20, -2, 2)) });
  const choose = (lag) => model.update({ lag });
  const { svg, redraw } = canvas("Summands, slopes, states and inputs, step by step", picture);
  const points = start.x.map((_, i) => handle(svg, {
    label: `Input x ${i + 1}`, limit: 2, kind: "x",
    drag: (x, y) => setInput(i, (INPUTS.base - y) / INPUTS.unit),
    keys: (right, up) => (up ? setInput(i, model.state.x[i] + up / 10)
      : points[clamp(i + right, 0, model.state.T - 1)].node.focus()),
  }));

  function picture(pen, width) {
    const s = solve(model.state);
    const { T, lag, k } = s;
    const last = clamp(width / 8, 38, 72);
    const column = (width - GUTTER - last) / T;
    const x = (t) => (t ? GUTTER + (t - 0.5) * column : GUTTER - 12);
    const bar = Math.min(36, column * 0.62);

    pen("rect", "band", { class: "ex-band", x: x(k) - column / 2 + 1, width: column * (T - k + 1) - 2,
      y: PLOT.top - 6, height: STATES.base + 32 - PLOT.top, rx: 4 });

    const inSize = s.scale === "log";
    const values = [...s.terms, s.total];
    const sizes = [0.1, ...values.map(Math.abs).filter(Boolean)];
    const [y, marks] = inSize ? decades(Math.max(1, ...sizes), Math.min(...sizes), PLOT.top, PLOT.bottom)
      : linear(values, PLOT.top, PLOT.bottom);
    const zero = inSize ? PLOT.bottom : y(0);
    pen.text("head", 0, 14, `"${inSize ? "size of the summands" : "summands"} of d"h_${T}/"d"w`, "start");
    pen.scale("summands", marks, y, GUTTER, width);
    pen.line("zero", GUTTER, zero, width, zero, "ex-axis");
    values.forEach((value, i) => {
      const total = i === T;
      const at = total ? width - last / 2 + 6 : x(T - i);
      const tip = value ? y(value) : zero;
      const chosen = i === lag ? "ex-chosen" : "";
      pen.bar(`bar${i}`, at, total ? Math.min(36, last * 0.6) : bar, zero, tip,
        `ex-bar ${total ? "ex-sum" : kind(value)} ${chosen}`);
      const roomy = column > 50 || total || chosen || !value;
      const text = roomy ? show(value) : inSize ? (value < 0 ? "−" : "+") : "";
      pen.text(`value${i}`, Math.min(at, width - 3.7 * text.length), tip > zero ? tip + 14 : tip - 5,
        `"${text}"`, "middle", `ex-small ${chosen}`);
      pen.text(`lag${i}`, at, PLOT.bottom + 22, total ? '"sum"' : `${i}`, "middle", `ex-small ${chosen}`);
    });
    pen.text("lag", GUTTER - 6, PLOT.bottom + 22, '"lag"', "end", "ex-small");

    const most = nice(Math.max(1, ...s.h.map(Math.abs)));
    pen.text("slopes", 0, SLOPES.base - 41, '"slopes "σ′(a_t)', "start");
    pen.text("states", 0, STATES.base - 30, '"states "h_t', "start");
    pen.text("inputs", 0, INPUTS.base - 38, '"inputs "x_t", to drag"', "start");
    [[SLOPES, 10, "0 to 1"], [STATES, -4, `± ${show(most)}`], [INPUTS, -4, "± 2"]].forEach(
      ([{ base }, above, content], i) => {
        pen.line(`base${i}`, i === 1 ? 0 : GUTTER, base, width - last, base, "ex-axis");
        pen.text(`scale${i}`, width, base - above, `"${content}"`, "end", "ex-small");
      });
    for (let t = 0; t <= T; t++) {
      const at = STATES.base - (STATES.unit * s.h[t]) / most;
      pen.line(`stem${t}`, x(t), STATES.base, x(t), at, "ex-stem");
      const reached = t === k - 1;
      pen("circle", `h${t}`, { cx: x(t), cy: at, r: reached ? 6 : 4,
        class: reached ? "ex-state ex-chosen" : "ex-state" });
      pen.text(`t${t}`, x(t), HEIGHT - 4, `${t}`, "middle", "ex-small");
      if (!t) continue;
      pen.bar(`slope${t}`, x(t), bar, SLOPES.base, SLOPES.base - SLOPES.unit * s.slope[t],
        t < k ? "ex-slope" : "ex-slope ex-chosen");
      pen.touch(`touch${t}`, x(t), 18, column, STATES.base, () => choose(T - t));
    }
    pen.text("t", 0, HEIGHT - 4, "t", "start", "ex-small");
    points.forEach(({ node, move }, i) => {
      node.classList.toggle("ex-gone", i >= T);
      if (i >= T) return;
      const at = INPUTS.base - INPUTS.unit * s.x[i];
      pen.line(`input${i}`, x(i + 1), INPUTS.base, x(i + 1), at, "ex-stem ex-x");
      move(x(i + 1), at, s.x[i], show(s.x[i]), clamp(column, 25, 48));
    });
    return HEIGHT;
  }

  const name = html("span", { class: "ex-left" });
  const group = `ex-lag-${Math.random()}`;
  const terms = start.x.map((_, lag) => {
    const input = html("input", { type: "radio", name: group, change: () => choose(lag) });
    const number = html("b");
    const label = html("label", { class: "ex-part", pointerenter: () => choose(lag) },
      input, number, html("span", {}, `lag ${lag}`));
    return { input, number, label };
  });
  const total = html("b");
  const product = html("div", { class: "ex-line" });

  function draw(state) {
    const s = solve(state);
    redraw();
    typeset(name, `"d"h_${s.T}/"d"w =`);
    terms.forEach(({ input, number, label }, lag) => {
      label.hidden = lag >= s.T;
      const term = s.terms[lag] ?? 0;
      number.textContent = lag ? `${term < 0 ? "−" : "+"} ${show(Math.abs(term))}` : show(term);
      number.className = kind(term);
      input.checked = lag === s.lag;
      input.setAttribute("aria-label", `lag ${lag}: ${show(term)}`);
    });
    total.textContent = `= ${show(s.total)}`;
    writeProduct(product, `"lag ${s.lag} ="`, s.factors, s.factors.map((_, i) =>
      i < s.lag ? `σ′(a_${s.T - i})w` : `σ′(a_${s.k})h_${s.k - 1}`), s.terms[s.lag], "summand");
    return describe(s);
  }

  return {
    draw,
    parts: [
      html("div", { class: "ex-row" },
        choice(model, "sigma", "σ", Object.fromEntries(
          Object.keys(NONLINEARITIES).map((key) => [key, `"${key}"`]))),
        choice(model, "scale", '"scale"', { linear: '"linear"', log: '"logarithmic"' })),
      svg,
      html("div", { class: "ex-sliders" },
        slider(model, "w", "w", "recurrent weight", [-2.5, 2.5, 0.05]),
        slider(model, "u", "u", "input weight", [-2, 2, 0.05]),
        slider(model, "h0", "h_0", "initial state", [-1, 1, 0.05]),
        slider(model, "T", "T", "steps", [1, STEPS, 1])),
      html("div", { class: "ex-line", role: "radiogroup", "aria-label": "summands" }, name,
        ...terms.map(({ label }) => label),
        html("span", { class: "ex-part" }, total, html("span", {}, "sum"))),
      product,
    ],
  };
}

function describe({ T, w, sigma, h, slope, terms, total }) {
  const said = [`$"d"h_${T}/"d"w$ is ${show(total)}.`];
  if (T === 1) return `${said[0]} With one step there is one summand, and nothing to forget.`;
  said.push(`With $h_${T - 1}$ held fixed only the summand of lag 0 would remain: ${show(terms[0])}.`);
  const gains = slope.slice(2).map((value) => Math.abs(value * w));
  const [least, most] = [Math.min(...gains), Math.max(...gains)];
  const cut = slope.lastIndexOf(0);
  if (w === 0) said.push("With $w$ = 0 no other can differ from zero.");
  else if (cut > 1) said.push(`The slope at step ${cut} is 0 and cuts off the past before it.`);
  else {
    const fate = most < 1 ? "so the past fades" : least > 1 ? "so the past grows"
      : least === most ? "so nothing of the past is lost" : "so it fades or grows from step to step";
    const range = show(least) === show(most) ? show(most) : `from ${show(least)} to ${show(most)}`;
    said.push(`Each step back multiplies by $σ′(a_t)w$, in size ${range}, ${fate}.`);
  }
  const steepest = sigma === "logistic" ? 0.25 : 1;
  const flat = slope.slice(1).every((value) => value < 0.3 * steepest);
  if (flat && cut < 1) said.push("The unit is saturated: all its slopes are near zero.");
  if (w < 0 && T > 2 && terms.every((term, lag) => !lag || !h[T - 1 - lag] || term * terms[lag - 1] < 0)) {
    said.push("As $w$ is negative, the signs alternate.");
  }
  if (h[0] === 0) said.push(`The summand of lag ${T - 1} is zero, since $h_0$ = 0 is a factor of it.`);
  return said.join(" ");
}

upgrade("summands", { question: "How much does each step back add to the derivative?", start, presets,
  whole: ["T", "lag", "sigma", "scale"], view });
