// Which lags does an online rule keep? (book/learning-online.md)

import { drawn, median, online } from "./arithmetic.mjs";
import { canvas, choice, clamp, html, lead, nice, part, rounded, show, slider, ticks, upgrade }
  from "./shared.mjs";

const [COUNT, UNITS, STEPS, LAGS] = [20, 8, 40, 20];
const networks = drawn(COUNT, UNITS, STEPS);
const start = { S: "zero", a: 0.3, K: 5, size: 1 };
const presets = {
  "S = 0, a = 0.3": start,
  '"plain, "S = 0': { ...start, a: 1 },
  '"plain, SnAp-1"': { ...start, S: "diagonal", a: 1 },
  '"slow leak"': { ...start, a: 0.1 },
  '"window 5"': { ...start, S: "window", a: 1 },
};
const RULES = { W: "W", diagonal: '"diagonal of "W', zero: "0", window: 'W", window "K' };

/** Medians over the networks, for a state that may be on its way. */
function solve({ S, a, K, size }) {
  const window = S === "window" ? Math.round(K) : Infinity;
  const found = networks.map((network) => {
    const W = network.W.map((row) => row.map((value) => size * value));
    const second = W.map((row, i) =>
      row.map((value, j) => (S === "zero" || (S === "diagonal" && i !== j) ? 0 : value)));
    return online({ ...network, W }, clamp(a, 0.05, 1), second, window);
  });
  const lags = Array.from({ length: LAGS }, (_, lag) => {
    const of = (read) => median(found.map(({ lags }) => read(lags[lag], lags[0].whole)));
    return { whole: of(({ whole }, first) => whole / first), kept: of(({ kept }, first) => kept / first),
      cosine: of(({ cosine }) => cosine) };
  });
  return { S, a, lags, cosine: median(found.map(({ cosine }) => cosine)) };
}

// The two rows of the picture, in pixels.
const BARS = { top: 30, bottom: 150 };
const TURN = { top: 204, bottom: 310 };
const HEIGHT = 352;
const GUTTER = 34;

function view(model) {
  const { svg, redraw } = canvas("Length and direction of what is kept, by lag", picture);

  function picture(pen, width) {
    const { lags } = solve(model.state);
    const column = (width - GUTTER) / LAGS;
    const x = (lag) => GUTTER + (lag + 0.5) * column;
    const most = nice(Math.max(...lags.flatMap(({ whole, kept }) => [whole, kept])), [1, 1.5, 2, 3, 5, 10]);
    const length = (value) => BARS.bottom - ((BARS.bottom - BARS.top) * value) / most;
    const turn = (value) => TURN.top + ((1 - value) * (TURN.bottom - TURN.top)) / 1.25;

    pen.text("head length", 0, 14, '"length: whole (outline), kept (filled)"', "start");
    pen.scale("length", ticks([0, most / 2, most]), length, GUTTER, width, 0);
    pen.text("head turn", 0, TURN.top - 16, '"cosine of the two"', "start");
    pen.scale("turn", ticks([1, 0.5, 0]), turn, GUTTER, width, 0);
    lags.forEach(({ whole, kept, cosine }, lag) => {
      pen.bar(`kept${lag}`, x(lag), column * 0.46, length(0), length(kept), "ex-bar ex-V");
      pen.bar(`whole${lag}`, x(lag), column * 0.76, length(0), length(whole), "ex-outline");
      pen("circle", `turn${lag}`, { cx: x(lag), cy: turn(cosine), r: kept ? Math.min(5, column / 3) : 0,
        class: "ex-state" });
      if (lag % 5 === 0) pen.text(`lag${lag}`, x(lag), TURN.bottom + 20, `${lag}`, "middle", "ex-small");
    });
    pen.text("axis", x(LAGS / 2), TURN.bottom + 38, '"lag "ℓ', "middle", "ex-small");
    return HEIGHT;
  }

  const line = html("div", { class: "ex-line" });

  function draw(state) {
    const s = solve(state);
    redraw();
    line.replaceChildren(lead('"whole gradient:"'), part(rounded(s.cosine), '"cosine"'));
    return describe(s);
  }

  return {
    draw,
    parts: [
      html("div", { class: "ex-row" }, choice(model, "S", "S", RULES)), svg, line,
      html("div", { class: "ex-sliders" },
        slider(model, "a", "a", "leak", [0.05, 1, 0.05], rounded),
        slider(model, "K", "K", "window", [1, LAGS, 1], (K) => show(Math.round(K))),
        slider(model, "size", "c", "factor of W", [0.5, 2, 0.1])),
    ],
  };
}

function describe({ S, a, lags, cosine }) {
  const upTo = (holds) => {
    const end = lags.findIndex((lag) => !holds(lag));
    return end < 0 ? "every lag shown" : end === 1 ? "lag 0 alone" : `the lags 0 to ${end - 1}`;
  };
  const units = a > 0.99 ? "Plain units" : `Leaky units with $a$ = ${rounded(a)}`;
  const named = { W: "the gradient itself", diagonal: "SnAp-1", zero: a > 0.99 ? "lag 0 alone" : "RFLO", window: "a window" };
  const long = upTo(({ whole, kept }) => kept > whole / 2);
  const near = upTo((lag) => lag.kept && lag.cosine > 0.5);
  return [`${units}; the rule is ${named[S]}.`,
    `Of ${long} it keeps more than half of the length; on ${near} it is less than 60° off.`,
    `The whole gradient has a cosine of ${rounded(cosine)}.`].join(" ");
}

upgrade("online", { question: "Which lags does a rule keep that puts $S$ in place of $W$?", start, presets,
  whole: ["S"], view });
