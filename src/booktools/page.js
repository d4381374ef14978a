// What the book's own pages do, where scripts run: nothing here is needed to read.

// Hovering or focusing a reference shows the equation, theorem, figure or exercise it points to.
(() => {
  const targets = 'div.math[id], div.proof[id], figure[id], div.exercise[id]';
  const pages = new Map();
  let card, timer;

  const pageOf = (url) => {
    const address = url.origin + url.pathname;
    if (address === location.origin + location.pathname) return Promise.resolve(document);
    if (url.protocol === "file:") return Promise.resolve(null); // no page may read another there
    if (!pages.has(address)) {
      const parsed = fetch(address)
        .then((answer) => answer.text())
        .then((text) => new DOMParser().parseFromString(text, "text/html"))
        .catch(() => null);
      pages.set(address, parsed);
    }
    return pages.get(address);
  };

  const hide = () => {
    clearTimeout(timer);
    card?.remove();
    card = undefined;
  };

  const show = async (link) => {
    const url = new URL(link.href);
    const page = await pageOf(url);
    const target = page?.getElementById(decodeURIComponent(url.hash.slice(1)))?.closest(targets);
    if (!target || !link.matches(":hover, :focus")) return;
    hide();
    card = document.createElement("div");
    card.className = "preview";
    card.setAttribute("role", "tooltip");
    const copy = target.cloneNode(true);
    for (const node of [copy, ...copy.querySelectorAll("[id]")]) node.removeAttribute("id");
    for (const node of [copy, ...copy.querySelectorAll(".later, .laid")]) node.classList.remove("later", "laid");
    for (const image of copy.querySelectorAll("img")) {
      image.src = new URL(image.getAttribute("src"), url).href;
      image.loading = "eager";
    }
    card.append(copy);
    document.body.append(card);
    const at = link.getBoundingClientRect();
    const width = document.documentElement.clientWidth;
    const left = Math.max(8, Math.min(at.left, width - card.offsetWidth - 8));
    const below = at.bottom + card.offsetHeight + 8 < innerHeight;
    const top = below ? at.bottom + 6 : Math.max(8, at.top - card.offsetHeight - 6);
    card.style.transform = `translate(${left}px, ${top}px)`;
  };

  const linkOf = (event) => event.target.closest?.('.bd-article a[href*="#"]:not(.headerlink)');
  for (const kind of ["pointerover", "focusin"]) {
    document.addEventListener(kind, (event) => {
      const link = linkOf(event);
      if (!link || event.pointerType === "touch") return;
      hide();
      timer = setTimeout(show, 200, link);
    });
  }
  document.addEventListener("pointerout", (event) => linkOf(event) && hide());
  document.addEventListener("focusout", hide);
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  document.addEventListener("scroll", hide, { passive: true });
})();

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

// Results come with a summary, read from their pages; a page in a folder may not read another.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
