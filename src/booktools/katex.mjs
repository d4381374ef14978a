// Sets formulas for mathematics.py: a line of JSON in, a line of JSON out.
import readline from "node:readline";
import katex from "katex";

const SIZES = [NaN, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.44, 1.728, 2.074, 2.488]; // of katex.css

// The width of KaTeX's box in em: what stands in a row adds up, of what is stacked the widest counts.
const width = (box) => {
  const { classes = [], children = [], style = {} } = box;
  const inside = children.map(width);
  const stacked = classes.includes("vlist") || classes.includes("vlist-t");
  let own = stacked ? Math.max(0, ...inside) : inside.reduce((sum, one) => sum + one, 0);
  const size = (name) => SIZES[classes.find((one) => one.startsWith(name))?.slice(name.length) ?? 6];
  if (classes.some((one) => one.endsWith("sizing"))) own *= size("size") / size("reset-size");
  const more = (box.text?.length ?? 1) - 1; // letters of a word, which has the width of its first
  own += (box.width ?? 0) + more * 0.5 + (box.italic ?? 0);
  for (const side of ["width", "marginLeft", "marginRight"]) own += (parseFloat(style[side]) || 0);
  return own;
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { tex, display, macros } = JSON.parse(line);
  let answer;
  try {
    const options = { displayMode: display, macros, output: "htmlAndMathml", strict: "error", throwOnError: true };
    const tree = katex.__renderToDomTree(tex, options);
    const html = tree
      .toMarkup()
      .replace(/([";])height:-[\d.]+em;/g, "$1") // browsers refuse it, too
      .replaceAll(' columnspacing=""', ""); // of a table with one column: not allowed
    const box = display ? tree.children[0] : tree;
    const seen = box.children.find((part) => part.classes.includes("katex-html"));
    answer = { html, width: width(seen), height: seen.height, depth: seen.depth };
  } catch (error) {
    answer = { error: error.message };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
