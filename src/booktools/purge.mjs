// Drops the rules of a style sheet that no page and no script can use: paths as arguments
// (style sheet, then pages and scripts), the smaller sheet on standard output.
import { readFileSync } from "node:fs";
import { PurgeCSS } from "purgecss";

const [sheet, ...content] = process.argv.slice(2);
const [{ css }] = await new PurgeCSS().purge({
  content,
  css: [{ raw: readFileSync(sheet, "utf8") }],
  defaultExtractor: (text) => text.match(/[A-Za-z0-9_-]+/g) ?? [],
  safelist: { standard: [/^data-/], greedy: [/from-top/, /data-theme/, /data-mode/, /in-(light|dark)/] },
  keyframes: true,
});
process.stdout.write(css);
