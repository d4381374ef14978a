// Markdown that a cell shows: tables with a caption, formulas, code.
import katex from "katex";
import markdown from "markdown-it";

const md = markdown({ typographer: true }); // quotes as the build has them
md.inline.ruler.before("escape", "formula", (state, silent) => {
  const found = /^\$([^$\n]+)\$/.exec(state.src.slice(state.pos));
  if (!found) return false;
  if (!silent) state.push("formula", "", 0).content = found[1];
  state.pos += found[0].length;
  return true;
});
md.renderer.rules.formula = (tokens, k) => katex.renderToString(tokens[k].content, { throwOnError: false, macros: self.liveMacros });

// MyST's table with a caption: what booktools.tables writes.
const plain = md.renderer.rules.fence;
md.renderer.rules.fence = (tokens, k, ...rest) => {
  const { info, content } = tokens[k];
  if (!info.startsWith("{table}")) return plain(tokens, k, ...rest);
  const rows = md.render(content.replace(/^:name:.*\n/, ""));
  return rows.replace("<table>", `<table><caption>${md.renderInline(info.slice(8))}</caption>`);
};

self.liveRender = (text) => {
  const box = document.createElement("div");
  box.className = "table-box";
  box.innerHTML = md.render(text);
  return box;
};
