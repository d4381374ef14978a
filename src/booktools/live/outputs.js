// What a cell has given, where its old output stood; and the lines of what it has checked.
import { make } from "../theme/make.js";

// A figure for each theme, as the page has them.
const figures = (svg, alt) => {
  const twin = Object.entries(self.liveColours).reduce((text, [a, b]) => text.replaceAll(a, b), svg);
  return [["in-light", svg], ["in-dark", twin]].map(([className, text]) =>
    make("img", { className, alt, src: `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}` }));
};

const block = (output, old) => {
  if (output.svg) {
    const alt = old?.querySelector("img")?.alt;
    return figures(output.svg, alt ? `As run here: ${alt}` : "The figure that this cell drew");
  }
  if (output.markdown) return [self.liveRender(output.markdown)];
  if (output.error) {
    const where = output.line ? `Line ${output.line}: ` : "";
    const said = make("pre", { className: "error" }, where + output.error);
    const trace = make("details", {}, make("summary", {}, "Where"), make("pre", {}, output.trace.join("")));
    return output.trace.length > 1 ? [said, trace] : [said];
  }
  return [make("pre", {}, (output.text ?? output.value).replace(/\n$/, ""))];
};

// The lines below equations: ✓ and what was found, or ✗ and both values.
const check = (cell, outputs) => {
  const from = cell.dataset.cell;
  const places = new Map();
  for (const { check: label, fails, found } of outputs) {
    if (!(label ?? fails)) continue;
    const all = [...document.querySelectorAll(`[data-check="${CSS.escape(label ?? fails)}"][data-from="${from}"]`)];
    const turn = places.get(label ?? fails) ?? 0;
    places.set(label ?? fails, turn + 1);
    const place = all[Math.min(turn, all.length - 1)];
    if (!place) continue;
    place.dataset.built ??= place.textContent;
    place.textContent = fails ? `fails: ${found}` : found;
    place.classList.toggle("fails", Boolean(fails));
    mark(place, "here");
  }
};

// What the line of a check begins with.
const mark = (place, where) => {
  const line = place.closest("summary, p.checked");
  line.firstChild.nodeValue = line.querySelector(".fails") ? "✗ " : where ? "✓ checked here: " : "✓ checked: ";
};

// The output and the checks of a cell as they were built.
export const restore = (cell) => {
  cell.querySelector(":scope > .live-output")?.remove();
  const old = cell.querySelector(":scope > .cell_output");
  if (old) old.hidden = false;
  for (const place of document.querySelectorAll(`[data-built][data-from="${cell.dataset.cell}"]`)) {
    place.textContent = place.dataset.built;
    place.classList.remove("fails");
    mark(place);
  }
};

export const show = (cell, outputs, label) => {
  check(cell, outputs);
  const old = cell.querySelector(":scope > .cell_output");
  const figure = old?.querySelector("figure");
  const live = make("div", { className: "cell_output live-output", role: "group", ariaLabel: label });
  for (const output of outputs.filter((one) => !one.check)) {
    const parts = block(output, old);
    if (!output.svg || !figure) live.append(...parts);
    else { // its caption stays
      const copy = figure.cloneNode(true);
      copy.removeAttribute("id");
      for (const image of copy.querySelectorAll("img")) image.remove();
      copy.prepend(...parts);
      live.append(copy);
    }
  }
  cell.querySelector(":scope > .live-output")?.remove();
  if (old) old.hidden = true;
  if (live.children.length) cell.append(live);
};
