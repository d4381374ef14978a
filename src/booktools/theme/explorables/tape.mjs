// Which summands survive if = stands where += belongs? (book/automatic-differentiation.md)

import { inputs, sum, swept } from "./arithmetic.mjs";
import { canvas, choice, clamp, html, lead, part, show, slider, upgrade } from "./shared.mjs";

const LONGEST = 9;
const W = [[0.9, -0.6], [0.5, 0.8]];
const asked = inputs(1, LONGEST + 4).slice(4);
const PLACES = { none: [], W: ["W"], h: ["h"], all: ["W", "h"] };
const start = { at: "none", losses: "loop", from: "some", T: 7 };
const presets = {
  '"lag 0"': { at: "h", losses: "loop" },
  '"last row"': { at: "h", losses: "late" },
  '"one corner"': { at: "all", losses: "loop" },
  '"the other"': { at: "all", losses: "late" },
};

/** All pairs of a loss t and a use k with their summands, which of them are left, and what of the whole. */
function solve({ at, losses, from, T: length }) {
  const T = clamp(Math.round(length), 2, LONGEST);
  const network = { W, x: inputs(0.7, T), g: asked.slice(0, T), h0: from === "zero" ? [0, 0] : [0.6, -0.4] };
  const late = losses === "late";
  const pairs = swept({ ...network, assign: [], late });
  const kept = swept({ ...network, assign: PLACES[at], late });
  const left = new Set(kept.map(({ t, k }) => `${t} ${k}`));
  const total = (list) => [0, 1, 2, 3].map((i) => sum(list.map(({ term }) => term[i])));
  const whole = total(pairs);
  const rest = total(kept);
  const size = Math.hypot(...rest);
  const cosine = size && sum(rest.map((value, i) => value * whole[i])) / size / Math.hypot(...whole);
  return { T, at, late, from, pairs, left, size: size / Math.hypot(...whole), cosine };
}

/** The forward program, with the places of = marked. */
function program({ at, late }) {
  const mark = (name, text) => html(PLACES[at].includes(name) ? "b" : "span", {}, text);
  const loss = (end) => ["L = L + g[t] · ", mark("h", "h[t]"), end];
  const step = ["  h[t] = tanh(", mark("W", "W"), " ", mark("h", "h[t−1]"), " + x[t])\n"];
  const loop = "for t in 1 … T:\n";
  return late ? [loop, ...step, loop, "  ", ...loss("")] : [loop, ...step, "  ", ...loss("\n ")];
}

function view(model) {
  const { svg, redraw } = canvas("Pairs of a loss t and a use k of W", picture);

  function picture(pen, width) {
    const s = solve(model.state);
    const gutter = 40;
    const cell = Math.min(36, (width - gutter - 2) / s.T);
    const top = 36;
    const x = (k) => gutter + (k - 0.5) * cell;
    const y = (t) => top + (t - 0.5) * cell;
    const most = Math.max(...s.pairs.map(({ term }) => Math.hypot(...term)));
    pen.text("uses", gutter, 15, '"use of "W" at step "k', "start", "ex-small");
    pen.text("losses", 0, top - 4, '"loss "t', "start", "ex-small");
    for (let t = 1; t <= s.T; t++) {
      pen.text(`row${t}`, gutter - 8, y(t) + 4, `"${t}"`, "end", "ex-small");
      pen.text(`column${t}`, x(t), top - 4, `"${t}"`, "middle", "ex-small");
    }
    for (const { t, k, term } of s.pairs) {
      const stays = s.left.has(`${t} ${k}`);
      const side = (cell - 3) * Math.sqrt(Math.hypot(...term) / most);
      const key = `${t} ${k}`;
      pen("rect", `frame ${key}`, { x: x(k) - cell / 2 + 1, y: y(t) - cell / 2 + 1, width: cell - 2, height: cell - 2,
        class: `ex-pair ${stays ? "ex-kept" : ""}` });
      pen("rect", `size ${key}`, { x: x(k) - side / 2, y: y(t) - side / 2, width: side, height: side,
        class: stays ? "ex-plus" : "ex-deleted" });
    }
    pen.text("area", x(2) - cell / 2 + 8, y(1) + 4, '"area: size of the summand"', "start", "ex-small");
    return top + s.T * cell + 4;
  }

  const code = html("pre", { class: "ex-program" });
  const line = html("div", { class: "ex-line" });

  function draw(state) {
    const s = solve(state);
    redraw();
    code.replaceChildren(...program(s));
    const sure = s.size > 0;
    line.replaceChildren(
      lead('"what is left: "'),
      part(`${s.left.size} of ${s.pairs.length}`, '"summands"'),
      part(show(s.size), '"length"'), part(sure ? show(+s.cosine.toFixed(3)) : "none", '"cosine"'));
    return describe(s);
  }

  return {
    draw,
    parts: [
      html("div", { class: "ex-row" },
        choice(model, "at", '"= at"',
          { none: '"nothing"', W: "W", h: '"the "h', all: '"all"' }),
        choice(model, "losses", '"losses"', { loop: '"in the loop"', late: '"after it"' }),
        choice(model, "from", "h_0", { some: '"not 0"', zero: '"0"' })),
      html("div", { class: "ex-tape" }, html("div", {}, code, line), svg),
      html("div", { class: "ex-sliders" },
        slider(model, "T", "T", "steps", [2, LONGEST, 1], (T) => show(Math.round(T)))),
    ],
  };
}

function describe({ T, at, late, from, pairs, size, cosine }) {
  const said = [];
  const place = late ? "after the loop" : "in the loop";
  if (at === "none") {
    said.push(`All ${pairs.length} summands arrive, one for each loss $t$ and each use $k ≤ t$. With += the order of the program does not matter.`);
  } else if (at === "W") {
    said.push("Only the message of step 1 is left in $W$, wherever the losses are added: the column $k$ = 1.");
  } else if (at === "h") {
    said.push(late ? `With the losses after the loop, each $h_t$ is used by step $t$ + 1 first. Only $h_${T}$, which has no next step, hears its loss: the row $t$ = ${T}.`
      : "With the losses in the loop, each $h_t$ is used by its loss first, and hears nothing else: the diagonal, lag 0.");
  } else {
    said.push(`With = everywhere and the losses ${place}, one summand is left: loss ${late ? T : 1}, use 1.`);
  }
  if (from === "zero" && !size) said.push("It has $h_0$ = 0 as a factor. The gradient is exactly zero, and $W$ never learns.");
  else if (from === "zero") said.push("The first column is zero, since $h_0$ = 0.");
  if (at !== "none" && size) {
    said.push(`What is left is ${show(size)} times as long as the gradient, at a cosine of ${show(+cosine.toFixed(3))}.`);
  }
  return said.join(" ");
}

upgrade("tape", { question: "Which summands survive if = stands where += belongs?", start, presets,
  whole: ["at", "losses", "from"], view });
