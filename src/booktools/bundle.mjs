// Bundles for bundle.py: a request in JSON on standard input, the names of what is made on standard
// output. Names carry a hash of the content.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import esbuild from "esbuild-wasm";

const { root, entries, texts, folder } = JSON.parse(readFileSync(0, "utf8"));
let replaced = 0;

const book = {
  name: "book",
  setup(build) {
    // What is computed for this build is imported as "book:…".
    build.onResolve({ filter: /^book:/ }, ({ path }) => ({ path, namespace: "text" }));
    build.onLoad({ filter: /.*/, namespace: "text" }, ({ path }) => ({
      contents: texts[path], loader: "css", resolveDir: root,
    }));
    // KaTeX's fonts come cut down, in book:fonts.
    build.onLoad({ filter: /katex\.min\.css$/ }, ({ path }) => ({
      loader: "css",
      contents: readFileSync(path, "utf8").replace(/@font-face\s*{[^}]*}/g, () => (replaced++, "")),
    }));
    // What the explorables share is a script of its own, which the page loads first.
    build.onResolve({ filter: /\/(arithmetic|shared)\.mjs$/ }, ({ path, importer }) =>
      basename(importer) === "common.js" ? undefined : { path: "common", namespace: "shared" });
    build.onLoad({ filter: /.*/, namespace: "shared" }, () => ({ contents: "module.exports = explorables" }));
  },
};
const { outputFiles } = await esbuild.build({
  absWorkingDir: root, entryPoints: entries, outdir: folder, write: false, bundle: true, minify: true,
  format: "iife",
  target: ["chrome123", "firefox125", "safari17.5"], loader: { ".woff2": "file" },
  assetNames: "[name].[hash]", plugins: [book], legalComments: "none", logLevel: "error",
});
if (!replaced) throw new Error("katex.min.css: no @font-face to replace");
mkdirSync(folder, { recursive: true });
const names = {};
for (const { path, contents } of outputFiles) {
  const name = basename(path);
  const hash = createHash("sha256").update(contents).digest("hex").slice(0, 10);
  names[name] = name.endsWith(".woff2") ? name : name.replace(".", `.${hash}.`);
  writeFileSync(join(folder, names[name]), contents);
}
process.stdout.write(JSON.stringify(names));
