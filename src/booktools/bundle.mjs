// Bundles for bundle.py: a request in JSON on standard input; on standard output the name of each
// bundle, which carries a hash of its content, by its name without.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import esbuild from "esbuild-wasm";

const { root, entries, texts, folder } = JSON.parse(readFileSync(0, "utf8"));

const book = {
  name: "book",
  setup(build) {
    // What is computed for this build is imported as "book:...".
    build.onResolve({ filter: /^book:/ }, ({ path }) => ({ path, namespace: "text" }));
    build.onLoad({ filter: /.*/, namespace: "text" }, ({ path }) => ({
      contents: texts[path], loader: "css", resolveDir: root,
    }));
    // KaTeX's fonts come cut down, in book:fonts.
    build.onLoad({ filter: /katex\.min\.css$/ }, ({ path }) => {
      const whole = readFileSync(path, "utf8");
      const contents = whole.replace(/@font-face\s*{[^}]*}/g, "");
      if (contents === whole) throw new Error(`${path}: got no @font-face, needs some to leave out`);
      return { contents, loader: "css" };
    });
    // What the explorables share is a script of its own, which the page loads first.
    build.onResolve({ filter: /\/(arithmetic|shared)\.mjs$/ }, ({ importer }) =>
      basename(importer) === "common.js" ? undefined : { path: "common", namespace: "common" });
    build.onLoad({ filter: /.*/, namespace: "common" }, () => ({
      contents: "module.exports = explorables",
    }));
  },
};
const { outputFiles } = await esbuild.build({
  absWorkingDir: root, entryPoints: entries, outdir: folder, write: false, plugins: [book],
  bundle: true, minify: true, format: "iife", legalComments: "none", logLevel: "error",
  target: ["chrome123", "firefox125", "safari17.5"], // which have light-dark() and popovers
  loader: { ".woff2": "file" }, assetNames: "[name]", entryNames: "[name]", // one folder for all
});
mkdirSync(folder, { recursive: true });
const names = {};
for (const { path, contents } of outputFiles) {
  const name = basename(path);
  const hash = createHash("sha256").update(contents).digest("hex").slice(0, 10);
  names[name] = name.endsWith(".woff2") ? name : name.replace(".", `.${hash}.`); // fonts have theirs
  writeFileSync(join(folder, names[name]), contents);
}
process.stdout.write(JSON.stringify(names));
