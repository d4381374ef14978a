// Before anything is drawn: the theme that the reader chose, fonts, and what is laid out at once.
const root = document.documentElement;
try {
  const chosen = localStorage.getItem("theme");
  if (chosen) root.dataset.theme = chosen;
} catch {} // a browser may keep nothing
// A page that opens at its top lays out its first screens first; see deferred.py.
const [visit] = performance.getEntriesByType("navigation");
if (!location.hash && visit?.type === "navigate") root.classList.add("from-top");
// The fonts in the style sheet: asked for now, they are ready before the first line is drawn.
for (const name of ["Main", "Size1", "Size2", "Size3", "Size4"]) document.fonts.load(`1em KaTeX_${name}`);
document.fonts.load("italic 1em KaTeX_Math");
