// Which past does a prediction use? (book/reading.md)

import { choice, clamp, html, slider, stepper, upgrade } from "./shared.mjs";
import { digits } from "./arithmetic.mjs";

const GUESSES = 5;
const MOST_BITS = 20; // what two digits hold
const signs = { "\n": "¶", " ": "␣" };
const sign = (letter) => signs[letter] ?? letter;
const spoken = (letter) => ({ "\n": "end of line", " ": "space" })[letter] ?? letter;

const full = (name) => (name === "plain" ? "plain network" : name);

/** What the networks used and expected at character k of the passage. */
function solve({ position: k }) {
  const { text, first, lags, networks } = explorables.data;
  const at = Math.round(k) - first;
  return {
    k: Math.round(k), text, came: text[Math.round(k)],
    networks: networks.map(({ name, used, guesses, chances, bits }) => {
      // by lag, as shares of the largest: the digits are their square roots
      const roots = Array.from({ length: lags }, (_, lag) => digits(used, 1, lags * at + lag));
      return { name, roots, bits: MOST_BITS * digits(bits, 2, at),
        best: Array.from({ length: GUESSES }, (_, i) =>
          [guesses[GUESSES * at + i], digits(chances, 2, GUESSES * at + i)]) };
    }),
  };
}

/** How many of the last characters have nine tenths of the gradient, as a sum of norms. */
function reach(roots) {
  const sizes = roots.map((root) => root * root);
  let left = 0.9 * sizes.reduce((total, size) => total + size);
  return sizes.findIndex((size) => (left -= size) <= 0) + 1;
}

const shade = (node, root) => node.style.setProperty("--ex-used", `${Math.round(100 * root)}%`);

function view(model) {
  const { text, first, lags, networks } = explorables.data;
  const last = text.length - 1;
  const letters = [...text].map((letter) => html("span", {}, letter === "\n" ? "¶\n" : letter));
  const choose = (k) => model.update({ position: clamp(k, first, last) });
  const pick = (event) => {
    const k = letters.indexOf(document.elementFromPoint(event.clientX, event.clientY));
    if (k >= 0) choose(k);
  };
  const page = html("div", { class: "ex-text", role: "img", "aria-label": "The passage; the characters that the prediction used are shaded",
    pointermove: pick, click: (event) => {
      pick(event);
      position.querySelector("input").focus({ preventScroll: true });
    } }, ...letters);
  const position = slider(model, "position", '"Character"', "", [first, last, 1],
    (k) => `"${Math.round(k) + 1}, ${spoken(text[Math.round(k)])}"`);

  const strips = networks.map(({ name }) => {
    const cells = Array.from({ length: lags }, () => html("span"));
    const came = html("b");
    const guesses = Array.from({ length: GUESSES }, () => {
      const [letter, chance] = [html("b"), html("small")];
      return { letter, chance, node: html("span", { class: "ex-guess" }, letter, chance) };
    });
    const bits = html("small");
    const node = html("div", { class: "ex-reader" }, html("span", { class: "ex-name" }, name, " ", bits),
      html("span", { class: "ex-strip", "aria-hidden": true }, ...cells.toReversed(), came),
      html("span", { class: "ex-guesses" }, ...guesses.map((guess) => guess.node)));
    return { node, cells, came, guesses, bits };
  });

  let shaded = [];
  function draw(state) {
    const s = solve(state);
    const { k } = s;
    for (const node of shaded) {
      shade(node, 0);
      node.classList.remove("ex-next");
    }
    const chosen = s.networks.find(({ name }) => name === state.network);
    shaded = [letters[k], ...chosen.roots.map((root, lag) => {
      const node = letters[k - 1 - lag];
      shade(node, root);
      return node;
    })];
    letters[k].classList.add("ex-next");
    s.networks.forEach(({ roots, best, bits }, i) => {
      const strip = strips[i];
      strip.node.classList.toggle("ex-chosen", networks[i].name === state.network);
      strip.cells.forEach((cell, lag) => {
        cell.textContent = sign(text[k - 1 - lag]);
        shade(cell, roots[lag]);
      });
      strip.came.textContent = sign(s.came);
      strip.bits.textContent = `${bits.toFixed(1)} bits`;
      best.forEach(([letter, chance], n) => {
        const guess = strip.guesses[n];
        guess.letter.textContent = sign(letter);
        guess.chance.textContent = chance < 0.005 ? "<\u00a01\u00a0%" : `${Math.round(100 * chance)}\u00a0%`;
        guess.node.style.setProperty("--ex-chance", `${Math.round(100 * chance)}%`);
        guess.node.classList.toggle("ex-right", letter === s.came);
      });
    });
    return describe(s);
  }

  return {
    draw,
    parts: [
      html("div", { class: "ex-row" }, choice(model, "network", '"shading by"',
        Object.fromEntries(networks.map(({ name }) => [name, `"${name}"`])))),
      page,
      stepper(position, (by) => choose(solve(model.state).k + by)),
      ...strips.map(({ node }) => node),
    ],
  };
}

function describe({ k, text, came, networks }) {
  const before = text.slice(Math.max(0, k - 18), k).replaceAll("\n", "¶");
  const [sure, ...less] = networks.toSorted((a, b) => a.bits - b.bits);
  const said = ({ name, bits, best: [[letter, chance]] }) => letter === came
    ? `the ${full(name)} expected it with ${Math.round(100 * chance)}\u00a0%` : `the ${full(name)} expected “${spoken(letter)}” and paid ${bits.toFixed(1)} bits`;
  const spans = networks.map(({ name, roots }) => `${reach(roots)} (${name})`).join(", ");
  return `After “${before}” comes “${spoken(came)}”: ${[sure, ...less].map(said).join("; ")}. Nine tenths of the gradient lie on the last ${spans} characters.`;
}

/** The place after these words. */
const after = (words) => ({ position: explorables.data.text.indexOf(words) + words.length });
upgrade("reading", {
  question: "Which past does a prediction use?",
  start: { position: 120, network: "GRU" },
  get presets() {
    return { '"first letter of a word"': after("and presented "), '"inside a name"': after("And Jo"),
      '"end of a line"': after("alive.") };
  },
  whole: ["network", "position"],
  view,
});
