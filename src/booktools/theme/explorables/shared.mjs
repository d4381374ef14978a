// What the explorables share: mathematical type, controls, a drawing surface, motion and speech.

const SVG = "http://www.w3.org/2000/svg";
const still = matchMedia("(prefers-reduced-motion: reduce)");
let made = 0;

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** The smallest of these numbers times a power of ten that is not below `value`. */
export function nice(value, numbers = [1, 2, 5, 10]) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return numbers.find((number) => number * unit >= value * (1 - 1e-9)) * unit;
}

/** 10 to a whole power, in type. */
const power = (exponent) =>
  "10" + `${exponent}`.replace(/./g, (sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)]);

/** A number to three digits, or to two and a power of ten, with a true minus sign. */
export function show(value) {
  const [digits, exponent] = value.toExponential(1).split("e");
  const plain = value === 0 || (exponent >= -3 && exponent < 4);
  const text = plain ? `${+value.toPrecision(3)}` : `${+digits}×${power(+exponent)}`;
  return text.replace("-", "−");
}

/** A number to two decimals at most. */
export const rounded = (value) => show(+value.toFixed(2));

/** An HTML element; an attribute that is a function listens to the event of that name. */
export function html(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/**
 * Fill a node with a formula: letters italic, "…" stays upright, _ lowers and ^ raises the next sign
 * or {group}.
 */
export function typeset(node, text) {
  if (node.formula === text) return node;
  node.formula = text;
  node.replaceChildren();
  const drawn = node.namespaceURI === SVG;
  const signs = /([_^])([\wℓ]|\{[^}]*\})|"([^"]*)"|([a-zα-ωℓ])|[^_^"a-zα-ωℓ]+/gi;
  let shift = 0;
  for (const [all, mark, small, upright, letter] of text.matchAll(signs)) {
    const tag = drawn ? "tspan" : mark === "_" ? "sub" : mark ? "sup" : letter ? "i" : "span";
    const piece = node.appendChild(document.createElementNS(node.namespaceURI, tag));
    piece.textContent = small?.replace(/[{}]/g, "") ?? upright ?? all;
    if (mark) piece.classList.add("ex-script");
    if (letter || (mark && /[a-zℓ]/i.test(small))) piece.classList.add("ex-i");
    if (!drawn) continue;
    // In ems of the full size; a script is set at 0.72 of it.
    const target = mark ? (mark === "_" ? 0.22 : -0.36) : 0;
    if (target !== shift) piece.setAttribute("dy", `${(target - shift) / (mark ? 0.72 : 1)}em`);
    shift = target;
  }
  return node;
}

export const formula = (text) => typeset(html("span"), text);

/** Fill a node with a sentence; what stands between dollar signs is a formula. */
function prose(node, text) {
  node.replaceChildren(...text.split("$").map((part, i) => (i % 2 ? formula(part) : part)));
  return node;
}

/** What a line of numbers begins with. */
export const lead = (text) => html("span", { class: "ex-left" }, formula(text));

/** A number above what it stands for. */
export const part = (number, below) =>
  html("span", { class: "ex-part" }, html("b", {}, number), formula(below));

/** Write out a product: its name, each factor above its symbol, the value above `result`. */
export function writeProduct(line, name, factors, symbols, value, result) {
  const shown = factors.map((factor, i) =>
    i ? `× ${factor < 0 ? `(${show(factor)})` : show(factor)}` : show(factor));
  line.replaceChildren(lead(name), ...shown.map((number, i) => part(number, symbols[i])),
    part(`= ${show(value)}`, `"${result}"`));
}

const set = (node, attributes) =>
  Object.entries(attributes).forEach(([name, value]) => node.setAttribute(name, value));

/**
 * An SVG of the width of its place, in pixels, and a pen that draws by keys: an element that is
 * drawn again keeps its node, one that is not drawn again goes. `draw` returns the height.
 */
export function canvas(label, draw) {
  const svg = document.createElementNS(SVG, "svg");
  set(svg, { role: "group", "aria-label": label });
  const picture = svg.appendChild(document.createElementNS(SVG, "g"));
  set(picture, { "aria-hidden": true });
  const nodes = new Map();
  let drawn;
  const pen = (tag, key, attributes, text) => {
    let node = nodes.get(key);
    if (!node) {
      node = picture.appendChild(document.createElementNS(SVG, tag));
      nodes.set(key, node);
    }
    set(node, attributes);
    if (text !== undefined) typeset(node, text);
    drawn.add(key);
    return node;
  };
  pen.text = (key, x, y, text, anchor = "middle", style = "") =>
    pen("text", key, { x, y, "text-anchor": anchor, class: style }, text);
  pen.line = (key, x1, y1, x2, y2, style) => pen("line", key, { x1, y1, x2, y2, class: style });
  pen.bar = (key, x, width, from, to, style) => pen("rect", key, { x: x - width / 2, width, rx: 1.5,
    y: Math.min(from, to), height: Math.abs(from - to), class: style });
  /** Lines across at the ticks [value, text] of a scale y; that at `base` is an axis. */
  pen.scale = (key, ticks, y, from, to, base) => ticks.forEach(([value, text], i) => {
    pen.line(`${key} line${i}`, from, y(value), to, y(value), value === base ? "ex-axis" : "ex-grid");
    pen.text(`${key} tick${i}`, from - 6, y(value) + 4, `"${text}"`, "end", "ex-small");
  });
  /** A place that does something when it is touched, clicked or passed over. */
  pen.touch = (key, x, y, width, height, act) => {
    const node = pen("rect", key, { x: x - width / 2, y, width, height, class: "ex-touch" });
    node.onclick = node.onpointerenter = act;
  };
  const redraw = () => {
    const width = svg.clientWidth;
    if (!width) return;
    drawn = new Set();
    const height = draw(pen, width);
    set(svg, { height, viewBox: `0 0 ${width} ${height}` });
    for (const [key, node] of nodes) {
      if (!drawn.has(key)) nodes.delete(key) && node.remove();
    }
  };
  new ResizeObserver(redraw).observe(svg);
  return { svg, redraw };
}

/** The ticks [value, text] of these values. */
export const ticks = (values) => values.map((value) => [value, show(value)]);

/** A logarithmic scale for sizes up to `most` and down to `least`: y and its ticks [value, text]. */
export function decades(most, least, top, bottom) {
  const high = Math.ceil(Math.log10(most) - 1e-9);
  const low = clamp(Math.floor(Math.log10(least) - 0.1), -12, high - 2);
  const unit = (bottom - top) / (high - low);
  const y = (value) => Math.min(bottom, bottom - (Math.log10(Math.abs(value)) - low) * unit);
  const found = [];
  const every = Math.ceil((high - low) / 4);
  for (let e = high; e >= low; e -= every) found.push([10 ** e, power(e)]);
  return [y, found];
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/**
 * A point to drag: `drag(x, y)` gets pixels, `keys(right, up)` gets steps from the arrow keys. With a
 * `sign` it is a ring around it, so that points that play the same part are told apart without a colour.
 */
export function handle(svg, { label, limit, kind, sign, drag, keys }) {
  const [node, touch, dot] = ["g", "rect", "circle"].map((tag) => document.createElementNS(SVG, tag));
  set(node, { class: `ex-handle ex-${kind}`, role: "slider", tabindex: 0, "aria-label": label,
    "aria-valuemin": -limit, "aria-valuemax": limit });
  set(touch, { class: "ex-touch" });
  set(dot, { class: "ex-dot", r: 8 });
  node.append(touch, dot);
  if (sign) {
    set(dot, { class: "ex-dot ex-node ex-on", r: 9 });
    const text = node.appendChild(document.createElementNS(SVG, "text"));
    set(text, { class: "ex-tiny", "text-anchor": "middle", y: 4.5, "pointer-events": "none", "aria-hidden": true });
    text.textContent = sign;
  }
  svg.append(node);
  let at;
  let grip = null;
  const listen = (names, act) => names.split(" ").forEach((name) => node.addEventListener(name, act));
  listen("pointerdown", (event) => {
    grip = [at[0] - event.clientX, at[1] - event.clientY];
    node.setPointerCapture(event.pointerId);
  });
  listen("pointermove", (event) => grip && drag(grip[0] + event.clientX, grip[1] + event.clientY));
  listen("pointerup pointercancel", () => (grip = null));
  listen("keydown", (event) => {
    if (!ARROWS[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    keys(...ARROWS[event.key].map((step) => step * (event.shiftKey ? 5 : 1)));
  });
  return {
    node,
    move(x, y, now, text, width = 44) {
      at = [x, y];
      set(node, { transform: `translate(${x} ${y})`, "aria-valuenow": now, "aria-valuetext": text });
      set(touch, { x: -width / 2, y: -22, width, height: 44 });
    },
  };
}

/** A labelled range; `max` may depend on the state, `read` may say more than the number. */
export function slider(model, name, sign, meaning, [min, max, step], read = show) {
  const id = `ex-${++made}`;
  const input = html("input", { type: "range", id, min, step, "data-name": name,
    input: () => model.update({ [name]: input.valueAsNumber }) });
  const output = html("output", { for: id });
  model.onSync((state) => {
    input.max = typeof max === "function" ? max(state) : max;
    input.value = state[name];
    typeset(output, read(state[name], state));
    input.setAttribute("aria-valuetext", output.textContent);
  });
  const label = html("label", { for: id }, formula(sign), " ", html("small", {}, meaning));
  return html("div", { class: `ex-slider ex-${name}` }, label, input, output);
}

/** A slider between two buttons, which `go` a step back and a step on. */
export function stepper(slider, go) {
  const button = (text, by) => html("button", { type: "button", click: () => go(by) }, formula(text));
  return html("div", { class: "ex-stepper" }, button('"‹ Back"', -1), slider, button('"Next ›"', 1));
}

/** One of several: a radio group, so that arrow keys and screen readers know it. */
export function choice(model, name, legend, options, patch = (value) => ({ [name]: value })) {
  const group = `ex-${++made}`;
  const inputs = Object.keys(options).map((value) => html("input", { type: "radio", name: group, value,
    change: () => model.update(patch(value)) }));
  model.onSync((state) => {
    for (const input of inputs) input.checked = input.value === `${state[name]}`;
  });
  return html("fieldset", { class: "ex-choice" }, html("legend", {}, formula(legend)),
    ...inputs.map((input) => html("label", {}, input, formula(options[input.value]))));
}

const mix = (from, to, s) =>
  Array.isArray(to) ? to.map((value, i) => mix(from[i], value, s)) : from + (to - from) * s;

/**
 * Build an explorable in a figure, in place of its static picture, which stays for printing.
 * `whole` names what jumps when the state moves; `view(model)` gives the parts below the buttons and
 * `draw(state)`, which returns a description in words.
 */
function build(figure, { question, start, presets, whole, view }) {
  const syncs = [];
  let state = start;
  let frame;
  let motion;
  const assign = (patch) => {
    state = { ...state, ...patch };
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(render);
  };
  const model = {
    get state() {
      return state;
    },
    onSync: (sync) => syncs.push(sync),
    update(patch) {
      cancelAnimationFrame(motion);
      assign(patch);
    },
  };
  /** Move to a state; where the reader wants no motion, at once. */
  const go = (patch) => {
    model.update(Object.fromEntries(Object.entries(patch).filter(([name]) => whole.includes(name))));
    const from = state;
    const moving = Object.keys(patch).filter((name) => !whole.includes(name));
    const begun = performance.now();
    const step = (now) => {
      const s = still.matches ? 1 : clamp((now - begun) / 600, 0, 1);
      const eased = s * s * (3 - 2 * s);
      assign(s < 1 ? Object.fromEntries(moving.map((name) => [name, mix(from[name], patch[name], eased)]))
        : patch);
      if (s < 1) motion = requestAnimationFrame(step);
    };
    step(begun);
  };
  // A screen reader hears the words at most every 0.7 s, and always the last ones.
  const words = html("p", { class: "ex-words", "aria-live": "polite" });
  let spoken = -Infinity;
  let waiting;
  const render = () => {
    for (const sync of syncs) sync(state);
    const text = draw(state);
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      spoken = performance.now();
      prose(words, text);
    }, spoken + 700 - performance.now());
  };
  const buttons = Object.entries({ ...presets, '"Reset"': start }).map(([name, patch]) =>
    html("button", { type: "button", click: () => go(patch) }, formula(name)));
  const { parts, draw } = view(model);
  figure.prepend(html("div", { class: "explorable" },
    prose(html("p", { class: "ex-question" }), question),
    html("div", { class: "ex-presets" }, ...buttons), ...parts, words));
  figure.classList.add("ex-live");
  render();
}

/** Upgrade the figures of the cells tagged `explorable-name` as they come near the window. */
export function upgrade(name, explorable) {
  const observer = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      observer.unobserve(target);
      build(target, explorable);
    }
  }, { rootMargin: "400px" });
  document.querySelectorAll(`.tag_explorable-${name} figure`).forEach((f) => observer.observe(f));
}
