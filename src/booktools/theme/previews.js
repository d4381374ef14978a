// Hovering or focusing a link shows what it leads to: an equation, theorem, figure, exercise or
// reference whole, of a section its title and first lines.
import { make } from "./make.js";

const WHOLE = "div.math, div.proof, figure, table, div.exercise, div.citation, dl.citation > dd";
const FIRST = 420; // characters of a section
const pages = new Map();
let card, shown, timer; // the card, and the link that it belongs to with its place on the screen

const pageOf = (url) => {
  const address = url.origin + url.pathname;
  if (url.pathname === location.pathname) return Promise.resolve(document);
  if (url.protocol === "file:") return Promise.resolve(null); // no page may read another there
  if (!pages.has(address)) {
    const parsed = fetch(address)
      .then((answer) => (answer.ok ? answer.text() : ""))
      .then((text) => new DOMParser().parseFromString(text, "text/html"))
      .catch(() => null);
    pages.set(address, parsed);
  }
  return pages.get(address);
};

// A section's title, and its text until there are a few lines of it.
const beginning = (section) => {
  const parts = [];
  let length = 0;
  for (const block of section.children) {
    if (!block.matches("h1, h2, h3, h4, p:not(.checked), ul, ol, div.math")) continue;
    parts.push(block);
    if (block.matches("p, ul, ol")) length += block.textContent.length;
    if (length > FIRST) break;
  }
  return parts;
};

const partsOf = (page, id) => {
  const target = id ? page.getElementById(id) : page.querySelector("article section");
  const whole = target?.closest(WHOLE);
  if (whole) return [whole];
  const section = target?.closest("article section");
  return section ? beginning(section) : [];
};

const copyOf = (part, url) => {
  const copy = part.cloneNode(true);
  for (const node of [copy, ...copy.querySelectorAll("[id]")]) node.removeAttribute("id");
  for (const node of [copy, ...copy.querySelectorAll("[tabindex]")]) node.removeAttribute("tabindex");
  for (const node of [copy, ...copy.querySelectorAll(".later, .laid")]) node.classList.remove("later", "laid");
  for (const mark of copy.querySelectorAll(".headerlink, .answer")) mark.remove();
  for (const image of copy.querySelectorAll("img")) {
    image.src = new URL(image.getAttribute("src"), url).href;
    image.loading = "eager";
  }
  return copy;
};

const hide = () => {
  clearTimeout(timer);
  card?.remove();
  card = undefined;
};

// To focus a link may scroll to it: what hides a card is that its link has moved since.
const follow = () => {
  if (card && shown.link.getBoundingClientRect().top !== shown.top) hide();
};

const show = async (link) => {
  const url = new URL(link.href);
  const page = await pageOf(url);
  const parts = page ? partsOf(page, decodeURIComponent(url.hash.slice(1))) : [];
  if (!parts.length || !link.matches(":hover, :focus-visible")) return;
  hide();
  card = make("div", {
    className: "preview",
    role: "tooltip",
    onpointerenter: () => clearTimeout(timer),
    onpointerleave: hide,
  }, ...parts.map((part) => copyOf(part, url)));
  document.body.append(card);
  const at = link.getBoundingClientRect();
  shown = { link, top: at.top };
  const width = document.documentElement.clientWidth;
  const left = Math.max(8, Math.min(at.left, width - card.offsetWidth - 8));
  const below = at.bottom + card.offsetHeight + 8 < innerHeight;
  const top = below ? at.bottom + 4 : Math.max(8, at.top - card.offsetHeight - 4);
  card.style.transform = `translate(${left}px, ${top}px)`;
};

// A link of the text to a place of this book.
const linkOf = ({ target }) => {
  const link = target.closest?.("article a[href]:not(.headerlink)");
  if (!link) return null;
  const { protocol, host, pathname } = new URL(link.href);
  const isHere = protocol === location.protocol && host === location.host;
  return isHere && pathname.endsWith(".html") ? link : null;
};

for (const kind of ["pointerover", "focusin"]) {
  document.addEventListener(kind, (event) => {
    const link = linkOf(event);
    if (!link || event.pointerType === "touch") return;
    if (kind === "focusin" && !link.matches(":focus-visible")) return; // a finger's focus
    clearTimeout(timer);
    timer = setTimeout(show, 200, link);
  });
}
document.addEventListener("pointerout", (event) => {
  if (!linkOf(event)) return;
  clearTimeout(timer);
  timer = setTimeout(hide, 250); // time to reach the card
});
document.addEventListener("focusout", hide);
document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
addEventListener("scroll", follow, { passive: true });
