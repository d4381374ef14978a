// How does an early state reach a late output? (book/unrolled-network.md)

import { path, product, unroll } from "./arithmetic.mjs";
import { canvas, choice, clamp, html, lead, part, rounded, show, slider, stepper, upgrade,
  writeProduct } from "./shared.mjs";

const T = 4;
const fixed = { u: 0.7, V: 1.2, x: [0.9, -0.6, 0.4, 0.8], h0: 0.5 };
// `position` counts steps: forward 0 … T, then back from the output z_s, first to h_s.
const start = { w: 0.9, s: T, to: "state", position: T + 4 };
const presets = {
  '"forward from "h_0': { position: 0 },
  '"back from "z_4': { position: T + 1, s: T },
  '"all the way to "h_0': { position: 2 * T + 1, s: T, to: "state" },
};

/** The run, whether the path goes back, and the step k that it has reached. */
function solve({ w, s, to, position }) {
  const toWeight = to === "weight";
  const last = T + 1 + s - toWeight;
  const at = Math.min(position, last);
  const back = at > T;
  const run = unroll({ ...fixed, w });
  const k = back ? s - (at - T - 1) : at;
  const factors = back ? [fixed.V, ...path(run, w, s, k, toWeight)] : [];
  return { ...run, w, s, toWeight, last, at, back, k, factors, value: product(factors) };
}

function view(model) {
  const { svg, redraw } = canvas("The network, unrolled over four steps", picture);
  /** Follow the path back to step k; what the chosen output does not see is seen by the last. */
  const follow = (k) => {
    const s = k > model.state.s ? T : model.state.s;
    model.update({ s, position: T + 1 + s - k });
  };

  function picture(pen, width) {
    const net = solve(model.state);
    const { s, k, back, toWeight, h } = net;
    const column = width / (T + 1);
    const r = clamp(column * 0.36, 20, 27);
    const rows = { z: r + 4, h: r + 104, x: r + 206 };
    const at = (t) => column * (t + 0.5);
    const roomy = column > 80;

    const edge = (key, [x1, y1], [x2, y2], sign, role, weight) => {
      const length = Math.hypot(x2 - x1, y2 - y1);
      const [dx, dy] = [(x2 - x1) / length, (y2 - y1) / length];
      const [ax, ay, bx, by] = [x1 + r * dx, y1 + r * dy, x2 - r * dx, y2 - r * dy];
      const tip = 6.4 + weight;
      const style = `ex-${role} ${weight > 2 ? "ex-on" : ""}`;
      pen.line(key, ax, ay, bx - 0.95 * tip * dx, by - 0.95 * tip * dy, `ex-edge ${style}`)
        .setAttribute("stroke-width", weight);
      pen("path", `${key} tip`, { class: `ex-edge ${style}`, "stroke-width": 0, d: `M${bx} ${by}l${
        -tip * (dx + dy / 2)} ${-tip * (dy - dx / 2)}l${tip * dy} ${-tip * dx}z` });
      if (dx) pen.text(`${key} sign`, (ax + bx) / 2, ay - 12, sign, "middle", `ex-sign ${style}`);
      else pen.text(`${key} sign`, ax + 5 + weight / 2, ay + 0.3 * (by - ay) + 2, sign, "start", `ex-sign ${style}`);
    };
    for (let t = 1; t <= T; t++) {
      const now = !back && t === k;
      const onPath = back && t <= s && t > k;
      const target = back && toWeight && t === k;
      const out = back && t === s;
      const reach = fixed.V * product(path(net, net.w, s, t - 1));
      const state = [at(t), rows.h];
      edge(`U${t}`, [at(t), rows.x], state, now && roomy ? `U = ${show(fixed.u)}` : "U", "U", now ? 3 : 1.5);
      edge(`W${t}`, [at(t - 1), rows.h], state, "W", target ? "other" : "W",
        onPath ? 2.5 + 5 * Math.min(1, Math.abs(reach)) : now || target ? 3 : 1.5);
      edge(`V${t}`, state, [at(t), rows.z], out && roomy ? `V = ${show(fixed.V)}` : "V", "V",
        out ? 7.5 : now ? 3 : 1.5);
      if (onPath || target) {
        const factor = net.slope[t] * (target ? h[t - 1] : net.w);
        const shown = roomy ? `× ${show(factor)}` : `×${show(+factor.toPrecision(2))}`;
        pen.text(`factor${t}`, at(t - 0.5), rows.h + r + 14, `"${shown}"`, "middle",
          target ? "ex-small ex-chosen ex-other" : "ex-small ex-chosen");
      }
    }
    const node = (name, t, value, role, known, on, act) => {
      const [x, y] = [at(t), rows[name]];
      const dim = known ? "" : "ex-unknown";
      pen("circle", name + t, { cx: x, cy: y, r, class: `ex-node ex-${role} ${dim} ${on ? "ex-on" : ""}` });
      pen.text(`${name + t} name`, x, y + (known ? -3 : 5), `${name}_${t}`, "middle", dim);
      if (known) pen.text(`${name + t} value`, x, y + 13, `"${rounded(value)}"`, "middle", "ex-tiny");
      if (act) pen.touch(`${name + t} touch`, x, y - 26, Math.min(column, 60), 52, act);
    };
    for (let t = 0; t <= T; t++) {
      const known = back || t <= k;
      const first = toWeight ? k - 1 : k;
      node("h", t, h[t], "W", known, back ? t <= s && t >= first : t === k,
        () => follow(toWeight ? Math.min(t + 1, T) : t));
      if (back && t === first) pen("circle", "end", { cx: at(t), cy: rows.h, r: r + 5, class: "ex-ring" });
      if (!t) continue;
      node("x", t, fixed.x[t - 1], "U", true, !back && t === k);
      node("z", t, fixed.V * h[t], "V", known, t === (back ? s : k),
        () => model.update({ s: t, position: T + 1 + Math.max(0, t - k) }));
      if (toWeight) pen.touch(`W${t} touch`, at(t - 0.5), rows.h - 40, 44, 62, () => follow(t));
    }
    return rows.x + r + 4;
  }

  const line = html("div", { class: "ex-line" });
  const go = (by) => {
    const { at, last } = solve(model.state);
    model.update({ position: clamp(at + by, 0, last) });
  };

  function draw(state) {
    const net = solve(state);
    redraw();
    const { back, toWeight, s, k, h, factors, w } = net;
    if (back) {
      const symbols = factors.map((_, i) => (i ? `σ′(a_${s - i + 1})W` : "V"));
      if (toWeight) symbols[symbols.length - 1] = `σ′(a_${k})h_${k - 1}`;
      writeProduct(line, toWeight ? `"its part of d"z_${s}/"d"W =` : `"d"z_${s}/"d"h_${k} =`, factors,
        symbols, net.value, "product");
    } else {
      line.replaceChildren(...(k ? [lead(`h_${k} = "tanh"(`), part(show(w), "W"),
        part(`· ${show(h[k - 1])}`, `h_${k - 1}`), part(`+ ${show(fixed.u)}`, "U"),
        part(`· ${show(fixed.x[k - 1])}`, `x_${k}`), part(`) = ${show(h[k])}`, `h_${k}`)]
        : [lead("h_0 ="), part(show(h[0]), '"given"')]));
    }
    return describe(net);
  }

  return {
    draw,
    parts: [
      svg,
      stepper(slider(model, "position", '"Step"', "", [0, (state) => solve(state).last, 1],
        (_, state) => where(solve(state))), go),
      line,
      html("div", { class: "ex-row" },
        choice(model, "s", '"from"', Object.fromEntries(fixed.x.map((_, i) => [i + 1, `z_${i + 1}`])),
          (s) => ({ s: +s })),
        choice(model, "to", '"back to"', { state: '"a state"', weight: '"a use of "W' })),
      html("div", { class: "ex-sliders" }, slider(model, "w", "W", "recurrent weight", [-2, 2, 0.05])),
    ],
  };
}

const where = ({ back, k, toWeight }) =>
  back ? `"back to "${toWeight ? `W" of step ${k}"` : `h_${k}`}` : k ? `"forward to "h_${k}` : '"at "h_0';

function describe({ back, toWeight, s, k, h, value, factors }) {
  if (!back && !k) {
    return "One unit, one input: every letter is a number. The initial state is given. Go forward step by step.";
  }
  if (!back) {
    return `Step ${k} reads $h_${k - 1}$ and $x_${k}$ and gives $h_${k}$ = ${show(h[k])} and the output $z_${k} = Vh_${k}$ = ${
      show(fixed.V * h[k])}. It uses the same $W$, $U$ and $V$ as every step.`;
  }
  if (toWeight) {
    return `$W$ is used ${s === 1 ? "once" : `${s} times`} on the way to $z_${s}$. A small change of $W$ in step ${k
    } alone reaches $z_${s}$ multiplied by ${show(value)}. ${
      s === 1 ? "" : `The derivative with respect to $W$ is the sum over all ${s} uses.`}`;
  }
  const arrows = s - k;
  const largest = Math.max(...factors.slice(1).map(Math.abs));
  return `A small change of $h_${k}$ reaches $z_${s}$ multiplied by ${show(value)}. ${arrows
    ? `There is one path, and it takes ${arrows} ${arrows > 1 ? "arrows" : "arrow"} $W$. In size, each factor $σ′(a_t)W$ is at most ${
      show(largest)} here.` : "It goes straight to the output."}`;
}

upgrade("network", { question: "How does an early state reach a late output?", start, presets,
  whole: ["s", "to", "position"], view });
