// How does what was written at step 1 reach the end? (book/gates.md)

import { carousel, paths, sum } from "./arithmetic.mjs";
import { canvas, clamp, html, lead, nice, part, rounded, show, slider, ticks, upgrade } from "./shared.mjs";

const T = 10;
const [OPEN, HALF, CLOSED] = [0.98, 0.5, 0.02]; // a logistic function reaches neither 1 nor 0
const all = (value) => Array(T).fill(value);
const offered = [0.9, -0.5, 0.6, -0.7, 0.4, 0.5, -0.6, 0.7, -0.4, 0.5]; // the candidates g_t
const start = {
  i: all(CLOSED).with(0, OPEN), f: all(OPEN), o: all(CLOSED).with(T - 1, OPEN), wg: 0.5, v: 0.5,
};
const presets = {
  '"remember"': start,
  '"forget at step 5"': { ...start, f: all(OPEN).with(4, CLOSED) },
  '"overwrite at step 7"': { ...start, i: start.i.with(6, OPEN), f: all(OPEN).with(6, CLOSED) },
  '"show at every step"': { ...start, o: all(OPEN) },
  '"half open"': { i: all(HALF), f: all(HALF), o: all(HALF), wg: 0.5, v: 0.5 },
  '"all open, "w_g = −1': { i: all(OPEN), f: all(OPEN), o: all(OPEN), wg: -1, v: 0 },
};

const GATES = { i: "input gate", f: "forget gate", o: "output gate" };
// A gate has one colour, in its pads as in the paths through it and their sum.
const WAYS = [["carousel", "V"], ["i", "W"], ["f", "other"], ["g", "U"], ["o", "ink"]];
const HUES = Object.fromEntries(WAYS);

function solve(state) {
  const { i, f, o, wg, v } = state;
  const run = carousel({ w: [v, v, wg, v], gates: offered.map((g, t) => [i[t], f[t], g, o[t]]) });
  return { ...state, ...run, ...paths(run) };
}

// The rows of the picture, in pixels; its columns are those of the pads above it.
const CELL = { top: 26, base: 78, unit: 46 };
const RAILS = { c: 182, h: 272 };
const HEIGHT = 312;
const GUTTER = 34;

/** How thick a path is drawn: by the root, so that small parts are seen. */
const thickness = (flow) => 15 * Math.sqrt(Math.min(1.4, Math.abs(flow)));

function view(model) {
  const { svg, redraw } = canvas("Cell state and hidden state, and the paths from step 1 to the end", picture);

  function picture(pen, width) {
    const s = solve(model.state);
    const column = (width - GUTTER) / T;
    const x = (t) => GUTTER + (t - 0.5) * column;
    const most = nice(Math.max(1, ...s.c.map(Math.abs)), [1, 1.5, 2, 3, 5, 10]);
    const y = (value) => CELL.base - (CELL.unit * value) / most;

    pen.text("head cell", 0, 14, '"bars: "c_t"; dots: "h_t"; rings: offered "g_t', "start");
    pen.scale("cell", ticks([most, 0, -most]), y, GUTTER, width, 0);
    for (let t = 1; t <= T; t++) {
      pen.bar(`c${t}`, x(t), Math.min(30, column * 0.5), y(0), y(s.c[t]), "ex-bar ex-V");
      pen("circle", `g${t}`, { cx: x(t), cy: y(offered[t - 1]), r: 4, class: "ex-offered" });
      pen("circle", `h${t}`, { cx: x(t), cy: y(s.h[t]), r: 3.5, class: "ex-state" });
    }

    pen.text("head paths", 0, RAILS.c - 32, `"paths from "c_1" to "h_{${T}}", thicker is more"`, "start");
    pen.text("rail c", 0, RAILS.c + 5, "c_t", "start");
    pen.text("rail h", 0, RAILS.h + 5, "h_t", "start");
    const way = (key, flow, style, d) => {
      const node = pen("path", key, { d, class: `ex-way ${style} ${flow < 0 ? "ex-negative" : ""}` });
      node.setAttribute("stroke-width", thickness(flow));
    };
    const bare = (key, d) => pen("path", key, { d, class: "ex-rail" });
    for (let t = 1; t <= T; t++) {
      const down = `M${x(t)} ${RAILS.c}V${RAILS.h}`;
      bare(`rail down${t}`, down);
      if (t > 1) {
        const up = (k) => {
          const bend = (k - 1) * 0.16 * column;
          return `M${x(t - 1)} ${RAILS.h}C${x(t - 0.5) + bend} ${RAILS.h - 12},${x(t - 0.5) + bend} ${
            RAILS.c + 12},${x(t)} ${RAILS.c}`;
        };
        const level = (rail) => `M${x(t - 1)} ${RAILS[rail]}H${x(t)}`;
        bare(`rail c${t}`, level("c"));
        bare(`rail h${t}`, level("h"));
        bare(`rail up${t}`, up(1));
        const [direct, ...through] = s.flows[t];
        through.slice(0, 3).forEach((flow, k) => way(`up${t} ${k}`, flow, `ex-${WAYS[k + 1][1]}`, up(k)));
        way(`past${t}`, through[3], "ex-ink", level("h"));
        way(`keep${t}`, direct, "ex-V", level("c"));
      }
      way(`exit${t}`, s.exits[t], "ex-exit", down);
    }
    for (let t = 1; t <= T; t++) {
      for (const rail of ["c", "h"]) {
        const end = (rail === "c" && t === 1) || (rail === "h" && t === T);
        pen("circle", `node ${rail}${t}`, { cx: x(t), cy: RAILS[rail], r: end ? 7 : 3.5,
          class: end ? "ex-state ex-chosen" : "ex-state" });
      }
      pen.text(`t${t}`, x(t), HEIGHT - 8, `${t}`, "middle", "ex-small");
    }
    pen.text("t", 0, HEIGHT - 8, "t", "start", "ex-small");
    return HEIGHT;
  }

  // Pads: one stop of the tab key, then arrow keys.
  const rows = Object.keys(GATES).map((gate) => all(gate).map((_, t) => {
    const dot = html("span");
    dot.style.setProperty("--ex-role", `var(--ex-${HUES[gate]})`);
    const node = html("button", { type: "button", class: "ex-pad", tabindex: -1,
      click: () => {
        const values = model.state[gate];
        model.update({ [gate]: values.with(t, values[t] < HALF ? OPEN : CLOSED) });
      } }, dot);
    return { node, dot, gate, t };
  }));
  const move = (event) => {
    const [right, down] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key]
      ?? [0, 0];
    if (!right && !down) return;
    event.preventDefault();
    const row = rows.findIndex((pads) => pads.some(({ node }) => node === event.target));
    const t = rows[row].findIndex(({ node }) => node === event.target);
    const next = rows[clamp(row + down, 0, rows.length - 1)][clamp(t + right, 0, T - 1)].node;
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  };
  rows[0][0].node.tabIndex = 0;
  const pads = html("div", { class: "ex-pads", role: "group", "aria-label": "gates, step by step", keydown: move },
    ...rows.flatMap((row) => [html("span", { class: "ex-i" }, row[0].gate), ...row.map(({ node }) => node)]));
  const line = html("div", { class: "ex-line" });

  function draw(state) {
    const s = solve(state);
    redraw();
    for (const { node, dot, gate, t } of rows.flat()) {
      const value = state[gate][t];
      dot.style.setProperty("--ex-level", value > 0.97 ? 1 : value < 0.03 ? 0 : value);
      node.setAttribute("aria-pressed", value >= HALF);
      node.setAttribute("aria-label", `${GATES[gate]} at step ${t + 1}, ${rounded(value)} open`);
    }
    line.replaceChildren(lead(`"d"h_{${T}}/"d"c_1 =`),
      ...s.parts.map((value, k) => {
        const shown = part(k ? `${value < 0 ? "−" : "+"} ${show(Math.abs(value))}` : show(value),
          k ? `"by "${WAYS[k][0]}` : `"${WAYS[k][0]}"`);
        shown.firstChild.classList.add(`ex-${WAYS[k][1]}`);
        return shown;
      }), part(`= ${show(s.whole)}`, '"all paths"'));
    return describe(s);
  }

  return {
    draw,
    parts: [
      html("p", { class: "ex-key" }, "Gates, to open (●) and close (○):"), pads, svg, line,
      html("div", { class: "ex-sliders" },
        slider(model, "wg", "w_g", "candidate", [-2, 2, 0.05]),
        slider(model, "v", 'w_i" = "w_f" = "w_o', "gates", [-2, 2, 0.05])),
    ],
  };
}

function describe({ f, o, parts, whole, c }) {
  const [direct, ...through] = parts;
  const others = sum(through);
  const said = [`A small change of $c_1$ reaches $h_{${T}}$ multiplied by ${show(whole)}: ${
    show(direct)} along the carousel, which no weight touches, and ${show(others)} through gates.`];
  const cut = f.findIndex((value, t) => t && value < 0.1) + 1;
  if (o[T - 1] < 0.1) said.push(`The output gate of step ${T} is closed: the cell does not show what it holds.`);
  else if (cut) said.push(`The forget gate of step ${cut} is closed: hardly anything of the carousel is left after it.`);
  if (Math.abs(others) > 0.3 * Math.abs(direct) && others * direct < 0) {
    said.push("What goes through the gates works against the carousel.");
  } else if (Math.abs(others) > Math.abs(direct)) said.push("Most of it has gone through a gate.");
  if (Math.abs(c[T]) > 2) said.push(`The cell has filled up to ${show(c[T])}, and its tanh is nearly flat.`);
  return said.join(" ");
}

upgrade("gates", { question: "How does what was written at step 1 reach the end?", start, presets,
  whole: [], view });
