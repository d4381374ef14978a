// The search: a dialog over every page, and the page with all results. The index is a script of
// its own, asked for when the reader begins; so it works from a folder, too.
import { make, script } from "./make.js";
import { SCRIPTS } from "./scripts.js";

const root = new URL("../", document.currentScript.src); // this script is in _static
const IN_DIALOG = 8;
const MOST = 50; // that find.js hands over
const NEAREST = 3; // for an address that is wrong

let index;
const load = async () => {
  try {
    await (index ??= script(new URL("_static/search-index.js", root).href));
  } catch (error) {
    index = undefined; // the next try asks again
    throw error;
  }
};

// Formulas of the index are as one would type them; here their indices are set.
const set = (text) => {
  const parts = [];
  let at = 0;
  for (const { 0: small, index } of text.matchAll(SCRIPTS)) {
    const inside = small.slice(1).replace(/^\{(.*)\}$/, "$1");
    parts.push(text.slice(at, index), make(small[0] === "_" ? "sub" : "sup", {}, ...set(inside)));
    at = index + small.length;
  }
  return [...parts, text.slice(at)];
};

const written = (pieces) =>
  pieces.flatMap(({ text, found }) => (found ? make("mark", {}, ...set(text)) : set(text)));

const item = ({ address, title, path, snippet }) => {
  const link = make("a", { href: new URL(address, root) });
  if (path.length) link.append(make("span", { className: "path" }, ...set(`${path.join(" › ")} › `)));
  link.append(make("strong", {}, ...written(title)));
  if (snippet.length) link.append(make("span", { className: "snippet" }, ...written(snippet)));
  return make("li", {}, link);
};

// Lets a form show what it finds while the reader types; keys go from result to result.
const searching = ({ form, status, list, limit, enter, more = {} }) => {
  const input = form.querySelector("input");
  let asked = 0;

  const update = async () => {
    const query = input.value.trim();
    const turn = ++asked;
    try {
      if (!query) status.textContent = "";
      else if (!globalThis.findInBook) status.textContent = "Loading the index …";
      await load();
      if (turn !== asked) return;
      const found = query ? globalThis.findInBook(input.value) : [];
      list.replaceChildren(...found.slice(0, limit).map(item));
      list.scrollTop = 0;
      more.hidden = found.length === 0;
      if (query) status.textContent = counted(found.length, limit);
    } catch {
      status.textContent = "The index could not be loaded. Try again, or look at the contents.";
    }
  };
  input.addEventListener("input", update);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await update();
    enter(input.value.trim(), list.querySelector("a"));
  });

  const box = list.parentElement;
  box.addEventListener("keydown", (event) => {
    const stops = [input, ...list.querySelectorAll("a")];
    const at = stops.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && at >= 0) {
      event.preventDefault();
      stops[Math.max(0, Math.min(stops.length - 1, at + step))].focus();
    } else if (at > 0 && event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey) {
      input.focus(); // where what is typed then goes
    }
  });
  return update;
};

const counted = (count, limit) => {
  if (!count) return "Nothing found. Fewer or other words may help.";
  if (limit === NEAREST && count > limit) return `The ${limit} nearest of the book's sections; Search shows more`;
  return `${count === MOST ? "The first " : ""}${count} ${count === 1 ? "section" : "sections"}`;
};

let dialog;
const build = () => {
  const input = make("input", {
    type: "search",
    name: "q",
    placeholder: "Search the book",
    autocomplete: "off",
    spellcheck: false,
    ariaLabel: "Search the book",
  });
  const close = make("button", { type: "button" }, "Close");
  const form = make("form", { role: "search" }, input, close);
  const status = make("p", { role: "status" });
  const list = make("ol", { className: "found" });
  const all = make("a", { textContent: "All results on a page" });
  const more = make("p", { className: "more", hidden: true }, all);
  const box = make("div", {}, form, status, list, more);
  dialog = make("dialog", { className: "search", ariaLabel: "Search" }, box);
  document.body.append(dialog);
  const update = searching({ form, status, list, limit: IN_DIALOG, more, enter: (_, first) => first?.click() });
  input.addEventListener("input", () => {
    all.href = new URL(`search.html?q=${encodeURIComponent(input.value.trim())}`, root);
  });
  close.addEventListener("click", () => dialog.close());
  list.addEventListener("click", (event) => {
    const opens = event.ctrlKey || event.metaKey || event.shiftKey;
    if (event.target.closest("a") && !opens) dialog.close();
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  return { input, update };
};

const page = document.querySelector("[data-search-page]");
let parts;
const open = () => {
  if (page) return page.querySelector("input").select();
  parts ??= build();
  if (!dialog.open) dialog.showModal();
  parts.input.focus();
  parts.input.select();
  parts.update(); // and so asks for the index
};

if (page) {
  const [form, status, list] = ["form", "[role=status]", "ol.found"].map((part) => page.querySelector(part));
  const input = form.querySelector("input");
  // A wrong address may hold words of the right one.
  const wrong = page.dataset.searchPage ? location.pathname.match(/([^/.]*)[^/]*\/?$/)[1] : "";
  const asking = (query) => `?q=${encodeURIComponent(query)}`;
  const update = searching({
    form,
    status,
    list,
    ...(page.dataset.searchPage
      ? { limit: NEAREST, enter: (query) => location.assign(new URL(`search.html${asking(query)}`, root)) }
      : { enter: (query) => history.replaceState(null, "", asking(query)) }),
  });
  input.value = new URLSearchParams(location.search).get("q") ?? wrong.replace(/[-_]+/g, " ");
  if (!wrong) input.focus();
  update();
}

document.addEventListener("click", (event) => {
  if (!event.target.closest?.("[data-search]") || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  open();
});
addEventListener("keydown", (event) => {
  const isWriting = event.target.closest?.("input, textarea, select, [contenteditable]");
  const command = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
  if (command && event.key.toLowerCase() === "k") {
    event.preventDefault();
    if (dialog?.open) dialog.close();
    else open();
  } else if (event.key === "/" && !isWriting && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    open();
  }
});
