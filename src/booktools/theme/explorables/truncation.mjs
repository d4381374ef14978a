// Which way does the gradient point if long lags do not count? (book/truncation.md)

import { influence, kept, share } from "./arithmetic.mjs";
import { canvas, choice, clamp, handle, html, lead, nice, part, show, slider, ticks, upgrade }
  from "./shared.mjs";

const UNITS = 23;
const LAGS = 200;
const start = { cut: "window", K: 19, plus: 10 };
const presets = {
  '"window 19"': { cut: "window", K: 19, plus: 10 },
  '"window 41"': { cut: "window", K: 41, plus: 10 },
  '"segments 100"': { cut: "segments", K: 100, plus: 10 },
  '"segments 200"': { cut: "segments", K: 200, plus: 10 },
};

/** What follows from the state, in which K may be on its way: sums are of this cut and of the other. */
function solve({ cut, K, plus }) {
  const segments = cut === "segments";
  const terms = influence(plus, LAGS);
  const sums = [kept(terms, segments), kept(terms, !segments)];
  const length = clamp(Math.round(K), 1, LAGS);
  const whole = 2 * (2 * plus - UNITS);
  const value = sums[0][length - 1];
  return { segments, plus, terms, sums, whole, K: length, value, bias: value - whole };
}

/** A number with two decimals, unless it is whole. */
const two = (value) => value.toFixed(2).replace("-", "−").replace(".00", "");

// The two rows of the picture, in pixels, over one axis of lags and lengths.
const BARS = { top: 30, bottom: 140 };
const SUMS = { top: 196, bottom: 366 };
const HEIGHT = 406;
const GUTTER = 34;
const RIGHT = 67;

const box = (left, right, from, to) => `M${left} ${from}H${right}V${to}H${left}z`;

function view(model) {
  const { svg, redraw } = canvas("Summands by lag, and what is kept of their sum, by length", picture);
  const setK = (K) => model.update({ K: clamp(Math.round(K), 1, LAGS) });
  let column = 1;
  const grip = handle(svg, {
    label: "Length K", limit: LAGS, kind: "K",
    drag: (x) => setK((x - GUTTER) / column),
    keys: (right, up) => setK(solve(model.state).K + right + up),
  });
  grip.node.setAttribute("aria-valuemin", 1);

  function picture(pen, width) {
    const s = solve(model.state);
    const { K, terms, whole } = s;
    column = (width - GUTTER - RIGHT) / LAGS;
    const x = (length) => GUTTER + length * column;
    const end = x(LAGS);

    pen("rect", "band", { class: "ex-band", x: GUTTER, y: BARS.top - 8, width: K * column,
      height: SUMS.bottom - BARS.top + 8 });
    pen.text("head", 0, 14, '"summands by lag "ℓ', "start");
    const middle = (BARS.top + BARS.bottom) / 2;
    const unit = (BARS.bottom - BARS.top) / 2;
    pen.scale("terms", ticks([1, 0, -1]), (value) => middle - unit * value, GUTTER, end, 0);
    const paths = { deleted: "", plus: "", minus: "" };
    const gap = column > 2.5 ? 0.6 : 0;
    terms.forEach((term, lag) => {
      const [left, right] = [x(lag), x(lag + 1) - gap];
      const stays = share(lag, K, s.segments);
      const split = middle - unit * term * stays;
      paths[term < 0 ? "minus" : "plus"] += box(left, right, middle, split);
      if (stays < 1) paths.deleted += box(left, right, split, middle - unit * term);
    });
    Object.entries(paths).forEach(([name, d]) => pen("path", name, { d, class: `ex-${name}` }));

    const all = [...s.sums.flat(), whole, 0];
    const step = nice((Math.max(...all) - Math.min(...all)) / 5);
    const high = Math.ceil(Math.max(...all) / step) * step;
    const low = Math.floor(Math.min(...all) / step) * step;
    const y = (value) => SUMS.top + ((high - value) / (high - low)) * (SUMS.bottom - SUMS.top);
    const levels = Array.from({ length: Math.round((high - low) / step) + 1 }, (_, i) => low + i * step);
    pen.scale("sums", ticks(levels), y, GUTTER, end, 0);
    pen.line("whole", GUTTER, y(whole), end, y(whole), "ex-dashed");
    const clear = Math.abs(y(whole) - y(s.value)) > 30 || K < 150;
    pen.text("whole name", end + 14, y(whole) + 4, `"all: ${show(whole)}"`, "start", "ex-small");
    const curve = (values) => values.map((value, i) => `${x(i + 1)} ${y(value)}`).join(" ");
    pen("polyline", "other", { points: curve(s.sums[1]), class: "ex-curve ex-other" });
    const named = s.segments ? 24 : 110; // where the other curve has room for its name
    pen.text("other name", x(named) + 3, y(s.sums[1][named - 1]) - 7, `"${s.segments ? "windows" : "segments"}"`, "start",
      "ex-small ex-halo");
    pen("polyline", "curve", { points: curve(s.sums[0]), class: "ex-curve" });
    pen.line("cut", x(K), BARS.top - 8, x(K), SUMS.bottom, "ex-cut");
    pen.line("bias", x(K), y(s.value), x(K), y(whole), "ex-bias");
    pen.text("head sums", 0, SUMS.top - 16, // above the line, which it interrupts
      `"what ${s.segments ? "segments keep, on average," : "a window keeps"} by length "K`, "start", "ex-halo");
    const left = K > 0.72 * LAGS;
    if (clear) {
      pen.text("bias name", x(K) + (left ? -12 : 12), (y(s.value) + y(whole)) / 2 + 4,
        `"bias ${s.bias > 0 ? "+" : ""}${two(s.bias)}"`, left ? "end" : "start", "ex-small ex-chosen ex-halo");
    }
    [0, 50, 100, 150, 200].forEach((lag) =>
      pen.text(`lag${lag}`, x(lag), SUMS.bottom + 20, `${lag}`, "middle", "ex-small"));
    pen.text("axis", x(LAGS / 2), SUMS.bottom + 38, '"lag "ℓ", length "K', "middle", "ex-small");
    grip.move(x(K), y(s.value), K, `${s.segments ? "segments" : "a window"} of ${K}`, 44);
    return HEIGHT;
  }

  const line = html("div", { class: "ex-line" });

  function draw(state) {
    const s = solve(state);
    redraw();
    line.replaceChildren(
      lead('"d"s_{t,1}/"d"θ ='),
      part(two(s.value), '"kept"'),
      part(`${s.bias > 0 ? "−" : "+"} ${two(Math.abs(s.bias))}`, '"deleted"'),
      part(`= ${show(s.whole)}`, '"all lags"'));
    return describe(s);
  }

  return {
    draw,
    parts: [
      html("div", { class: "ex-row" },
        choice(model, "cut", '"cut by"', { window: '"a window"', segments: '"segments"' })),
      svg, line,
      html("div", { class: "ex-sliders" },
        slider(model, "K", "K", "length", [1, LAGS, 1], (K) => show(Math.round(K))),
        slider(model, "plus", '"+1"', "in so many units", [0, UNITS, 1])),
    ],
  };
}

function describe({ segments, K, value, whole, sums, plus }) {
  const said = [`${segments ? `Segments of ${K} keep, on average,` : `A window of ${K} keeps`} ${
    two(value)} of a derivative that is ${show(whole)}.`];
  if (value * whole < 0) {
    said.push("The sign is wrong: at any learning rate, a step down this gradient makes the loss larger.");
  } else {
    const size = value / whole;
    said.push(size > 0.995 && size < 1.005 ? "Nothing is missing that one would notice."
      : `The sign is right, and the size is ${show(Math.round(100 * size))}\u00a0% of what it should be.`);
  }
  const wrong = sums[0].findLastIndex((sum) => sum * whole < 0) + 1;
  said.push(wrong === LAGS ? `With ${plus} units of +1 no length up to ${LAGS} is enough.`
    : wrong ? `The sign is right from a length of ${wrong + 1} on.` : "Here every length has the right sign.");
  return said.join(" ");
}

upgrade("truncation", { question: "Which way does the gradient point if long lags do not count?",
  start, presets, whole: ["cut", "plus"], view });
