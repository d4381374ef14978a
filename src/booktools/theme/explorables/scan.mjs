// What does a tree combine, forward and back? (book/linear-recurrences.md)

import { scanRounds, sum } from "./arithmetic.mjs";
import { canvas, choice, clamp, html, lead, part, rounded, slider, stepper, upgrade } from "./shared.mjs";

const LONGEST = 8;
const given = {
  b: [0.9, -0.6, 0.4, 0.8, -0.5, 0.7, 0.3, -0.8],
  g: [0.3, 0, -0.4, 0.1, 0, 0.5, -0.3, 0.6],
  h0: 0.5,
};
const start = { way: "forward", T: 8, a: 0.8, round: 2 };
const presets = {
  '"start"': { round: 0 },
  '"all rounds"': { round: 2 * LONGEST },
  '"a plain sum"': { a: 1, round: 2 * LONGEST },
  '"one step kept"': { a: 0, round: 2 * LONGEST },
};

/** The rounds, and a place's step: backward, place 0 is the last step, and nothing comes after it. */
function solve({ way, T, a, round }) {
  const back = way === "backward";
  const b = given[back ? "g" : "b"].slice(0, T);
  const factors = b.map((_, place) => (back && !place ? 0 : a));
  const rounds = scanRounds(factors, back ? b.reverse() : b);
  const at = clamp(Math.round(round), 0, rounds.length - 1);
  const step = (place) => (back ? T - place : place + 1);
  const now = rounds[at];
  const values = now.a.map((A, t) => A * (back ? 0 : given.h0) + now.b[t]);
  return { back, T, a, rounds, at, step, now, values, name: back ? "λ" : "h" };
}

const TOP = 44;
const ROW = 56;
const HALF = 21; // of a box's height

function view(model) {
  const { svg, redraw } = canvas("The tree of the scan: a column for each step, a row for each round", picture);

  function picture(pen, width) {
    const { back, T, rounds, at, step, now, values, name } = solve(model.state);
    const column = width / T;
    const half = Math.min(column / 2 - 0.75, 30);
    const x = (place) => (step(place) - 0.5) * column;
    const y = (row) => TOP + row * ROW;
    const bottom = y(rounds.length - 1) + HALF;

    const box = (place, row) => {
      const { a, b, first, joins } = rounds[row];
      const done = first[place] === 0;
      const fresh = row === at && row && joins.some(([, to]) => to === place);
      const key = `${place} ${row}`;
      const frame = pen("rect", key, { x: x(place) - half, y: y(row) - HALF, width: 2 * half, height: 2 * HALF, rx: 4,
        class: `ex-affine ${done ? "ex-done" : ""} ${fresh ? "ex-on" : ""}` });
      const numbers = [["a", a, -4], ["b", b, 13]].map(([name, of, below]) =>
        pen.text(`${name} ${key}`, x(place), y(row) + below, `"${rounded(of[place])}"`, "middle", "ex-tiny"));
      frame.parentNode.append(frame, ...numbers); // above all lines, whichever was drawn first
    };
    for (let place = 0; place < T; place++) {
      const done = now.first[place] === 0;
      pen.text(`step ${place}`, x(place), 14, `${step(place)}`, "middle", "ex-small");
      pen.line(`wire ${place}`, x(place), y(0), x(place), bottom + 16, "ex-grid");
      pen.text(`name ${place}`, x(place), bottom + 32, `${name}_${step(place)}`, "middle",
        done ? "" : "ex-unknown");
      if (done) pen.text(`value ${place}`, x(place), bottom + 50, `"${rounded(values[place])}"`, "middle", "ex-small ex-chosen");
    }
    const last = Array(T).fill(0); // the row of each place's newest pair
    for (let row = 1; row < rounds.length; row++) {
      for (const [from, to] of rounds[row].joins) {
        const style = row > at ? "ex-grid" : row === at ? "ex-join ex-on" : "ex-join";
        const d = `M${x(from)} ${y(last[from])}V${y(row - 1)}L${x(to)} ${y(row)}V${y(last[to])}`;
        pen("path", `join ${from} ${to} ${row}`, { class: style, d, fill: "none" });
        last[to] = row;
      }
    }
    for (let place = 0; place < T; place++) box(place, 0);
    for (let row = 1; row <= at; row++) rounds[row].joins.forEach(([, to]) => box(to, row));
    return y(2 * Math.log2(LONGEST) - 1) + HALF + 58; // as high for any T
  }

  const line = html("div", { class: "ex-line" });
  const go = (by) => {
    const { at, rounds } = solve(model.state);
    model.update({ round: clamp(at + by, 0, rounds.length - 1) });
  };

  /** One combination of this round, in numbers. */
  function write({ rounds, at, step, now }) {
    if (!at) return [lead('"a pair: factor above, summand below"')];
    const [from, to] = now.joins[0];
    const { a, b } = rounds[at - 1];
    const wrap = (value) => (value < 0 ? `(${rounded(value)})` : rounded(value));
    return [lead(`"at "${step(to)}":"`),
      part(`${rounded(a[to])} · ${wrap(a[from])} = ${rounded(now.a[to])}`, '"factor"'),
      part(`${rounded(a[to])} · ${wrap(b[from])} + ${wrap(b[to])} = ${rounded(now.b[to])}`, '"summand"')];
  }

  function draw(state) {
    const tree = solve(state);
    redraw();
    line.replaceChildren(...write(tree));
    return describe(tree);
  }

  return {
    draw,
    parts: [
      html("div", { class: "ex-row" },
        choice(model, "way", '"scan"', { forward: '"forward"', backward: '"backward"' })),
      svg,
      stepper(slider(model, "round", '"Round"', "", [0, (state) => solve(state).rounds.length - 1, 1],
        (_, state) => `"round "${solve(state).at}`), go),
      line,
      html("div", { class: "ex-sliders" },
        slider(model, "a", "a", "factor of each step", [-1.1, 1.1, 0.05], rounded),
        slider(model, "T", "T", "steps", [2, LONGEST, 1])),
    ],
  };
}

const list = (words) => words.join(", ").replace(/, ([^,]*)$/, " and $1");

function describe({ back, T, rounds, at, step, now, values, name }) {
  const last = rounds.length - 1;
  const joins = sum(rounds.map((round) => round.joins.length));
  if (!at) {
    return back
      ? `Nothing is combined yet. Each box holds a factor and $g_t$. What comes after step ${T} is nothing, so its factor is 0, and $λ_${T} = g_${T}$ is known.`
      : "Nothing is combined yet. Each box holds the pair $a_t$, $b_t$ of one step. Only the first is a prefix.";
  }
  const pairs = list(now.joins.map(([from, to]) => `${step(from)} with ${step(to)}`));
  if (at < last) {
    const done = now.first.flatMap((first, place) => (first ? [] : [`$${name}_${step(place)}$`]));
    return `Round ${at} of ${last} combines ${pairs}, all at the same time. Finished so far: ${list(done)}.`;
  }
  const end = back ? `every adjoint is known; $λ_1$ is` : `every state is known; $h_${T}$ is`;
  const count = (number, word) => `${number} ${word}${number > 1 ? "s" : ""}`;
  return `The last round combines ${pairs}. After ${count(last, "round")} and ${count(joins, "combination")} ${
    end} ${rounded(values[T - 1])}. A loop takes ${count(T - 1, "combination")}, one after the other.`;
}

upgrade("scan", { question: "What does a tree combine, forward and back?", start, presets,
  whole: ["way", "T", "round"], view });
