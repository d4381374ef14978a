// Writes the script that finds sections: all that can be found and what words mean as JSON on
// standard input, the script's path as argument.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild-wasm";

const here = dirname(fileURLToPath(import.meta.url));
const data = readFileSync(0, "utf8");
await build({
  stdin: {
    contents: `import { finder } from "./find.js"; globalThis.findInBook = finder(${data});`,
    resolveDir: join(here, "theme"),
  },
  outfile: process.argv[2],
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  charset: "utf8",
  logLevel: "warning",
});
