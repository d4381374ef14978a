import { make } from "./make.js";

const root = document.documentElement;

// Copying a formula gives its TeX.
document.addEventListener("copy", (event) => {
  const selection = getSelection();
  if (selection.isCollapsed || !event.clipboardData) return;
  const part = selection.getRangeAt(0).cloneContents();
  const inside = selection.getRangeAt(0).commonAncestorContainer;
  const whole = (inside.closest ? inside : inside.parentElement)?.closest(".katex");
  if (whole) part.replaceChildren(whole.cloneNode(true));
  const formulas = part.querySelectorAll(".katex");
  if (!formulas.length) return;
  for (const formula of formulas) {
    const tex = formula.querySelector("annotation")?.textContent;
    const mark = formula.closest(".katex-display") ? "$$" : "$";
    if (tex) formula.replaceWith(mark + tex + mark);
  }
  event.clipboardData.setData("text/plain", part.textContent);
  event.preventDefault();
});

// What may scroll sideways is reached by the Tab key, where it is wider than its box.
const reachable = (boxes) => {
  const wider = boxes.map((box) => box.scrollWidth > box.clientWidth + 1); // all reads first
  boxes.forEach((box, k) => (wider[k] ? box.setAttribute("tabindex", 0) : box.removeAttribute("tabindex")));
};
// Boxes change when the window does, a fold opens or the reader comes near, their contents when fonts arrive.
const laid = new Set(); // to ask the others would lay them out
const sizes = new ResizeObserver((changes) => {
  const boxes = changes.map((change) => change.target);
  for (const box of boxes) laid.add(box);
  reachable(boxes);
});
for (const box of document.querySelectorAll('[role="group"][tabindex]')) sizes.observe(box);
document.fonts.addEventListener("loadingdone", () => reachable([...laid]));

// The chapters and the contents show where one is, by scrolling inside their own box alone: at once where
// they stand beside the text, where they are drawers when they open.
const reveal = (box) => {
  const current = box?.querySelector("[aria-current]");
  if (!current) return;
  const middle = box.clientHeight / 2;
  const from = current.offsetTop - box.scrollTop - middle;
  if (Math.abs(from) > middle / 2) box.scrollTo({ top: box.scrollTop + from, behavior: "instant" });
};
const book = document.getElementById("book");
for (const box of document.querySelectorAll("#book, #contents")) box.addEventListener("toggle", () => reveal(box));
requestAnimationFrame(() => reveal(book)); // once the page is laid out, before it is drawn

// The contents mark the section on screen: the last whose heading has passed the upper third, or, at
// the end of the page, the last of all.
const drawer = document.getElementById("contents");
const links = [...document.querySelectorAll("#contents a")];
const headings = links.map((link) => document.getElementById(decodeURIComponent(link.hash.slice(1))));
const mark = () => {
  const ended = scrollY + innerHeight >= root.scrollHeight - 2;
  const passed = (heading) => ended || heading.getBoundingClientRect().top < innerHeight / 3;
  const current = links[Math.max(0, headings.findLastIndex(passed))];
  if (current?.hasAttribute("aria-current")) return;
  for (const link of links) link.removeAttribute("aria-current");
  current?.setAttribute("aria-current", "true");
  reveal(drawer);
};
addEventListener("scroll", () => requestAnimationFrame(mark), { passive: true });
addEventListener("load", mark);
// On a phone they make way for the section that the reader chose.
drawer?.addEventListener("click", (event) => event.target.closest("a") && drawer.hidePopover());

// What deferred.py marks is laid out even if nobody scrolls there, for to screen readers it is not there
// before. The first seconds are left to the reader. Then a few blocks for each frame, so that no step takes
// long; one alone would take nearly as long, for a frame goes through the whole page.
const later = [...document.querySelectorAll(".later")];
const idle = window.requestIdleCallback ?? setTimeout;
const layOut = () => {
  for (const block of later.splice(0, 6)) block.classList.replace("later", "laid");
  if (later.length) requestAnimationFrame(() => idle(layOut, { timeout: 1000 }));
};
addEventListener("load", () => setTimeout(layOut, 3000));

// Three themes in turn: as the system has it, light, dark.
const THEMES = ["", "light", "dark"];
const NAMES = ["Theme: as the system", "Theme: light", "Theme: dark"];
const button = document.querySelector("[data-theme-switch]");
const name = () => {
  button.title = NAMES[THEMES.indexOf(root.dataset.theme ?? "")];
  button.setAttribute("aria-label", button.title);
};
button.addEventListener("click", () => {
  const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? "") + 1) % 3];
  if (next) root.dataset.theme = next;
  else delete root.dataset.theme;
  localStorage.setItem("theme", next);
  name();
});
name();

// On paper stands also what nobody has scrolled to.
const drawn = () => Promise.allSettled([...document.images].map((image) => ((image.loading = "eager"), image.decode())));
addEventListener("beforeprint", drawn);
document.querySelector("[data-print]")?.addEventListener("click", () => drawn().then(() => print()));

// A menu closes where one clicks elsewhere, and with Escape.
const close = (except) => {
  for (const menu of document.querySelectorAll(".menu[open]")) if (menu !== except) menu.open = false;
};
document.addEventListener("click", (event) => close(event.target.closest(".menu")));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  document.querySelector(".menu[open]:focus-within > summary")?.focus();
  close();
});

// Code can be copied.
for (const pre of document.querySelectorAll(".cell_input pre, .highlight-python pre")) {
  const copy = make("button", { className: "copy", type: "button", textContent: "Copy" });
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(pre.textContent);
    copy.textContent = "Copied";
    setTimeout(() => (copy.textContent = "Copy"), 1500);
  });
  pre.after(copy);
}
