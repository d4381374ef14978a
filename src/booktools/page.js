// What the book's own pages do, where scripts run: nothing here is needed to read.

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

// What is wider than its box scrolls by itself, with the arrow keys too.
const wide = ".formula, .bd-article pre, .cell_output .output, .pst-scrollable-table-container";
const reachable = (boxes) => {
  const wider = boxes.map((box) => box.scrollWidth > box.clientWidth + 1); // all reads first
  boxes.forEach((box, k) => {
    if (!wider[k]) return box.removeAttribute("tabindex");
    box.tabIndex = 0;
    if (!box.hasAttribute("role")) {
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", box.matches(".formula") ? "equation, scrolls sideways" : "scrolls sideways");
    }
  });
};
// Boxes change when the window does, a fold opens or the reader comes near, their contents when fonts arrive.
const laid = new Set(); // to ask the others would lay them out
const sizes = new ResizeObserver((changes) => {
  const boxes = changes.map((change) => change.target);
  for (const box of boxes) laid.add(box);
  reachable(boxes);
});
for (const box of document.querySelectorAll(wide)) sizes.observe(box);
document.fonts.addEventListener("loadingdone", () => reachable([...laid]));

// The contents at the side show the section on screen, from the first scroll on.
const contents = document.querySelector(".bd-toc-nav");
if (contents) {
  const spy = () => bootstrap.ScrollSpy.getOrCreateInstance(document.body, { target: contents, rootMargin: "0px 0px -60%" });
  addEventListener("scroll", spy, { once: true, passive: true });
}

// What deferred.py marks is laid out as soon as the page has loaded, for to screen readers it is not
// there before: a block for each frame, so that no step takes long.
const later = [...document.querySelectorAll(".later")];
const idle = window.requestIdleCallback ?? setTimeout;
const layOut = () => {
  later.shift()?.classList.replace("later", "laid");
  if (later.length) requestAnimationFrame(() => idle(layOut, { timeout: 1000 }));
};
addEventListener("load", layOut);

// The theme's buttons, whose inline handlers the content security policy refuses.
document.addEventListener("click", (event) => {
  if (event.target.closest(".btn-fullscreen-button")) toggleFullScreen();
  if (event.target.closest(".btn-download-pdf-button")) print();
});
