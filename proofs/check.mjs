// Proofs that need no library, checked by Coq as jsCoq compiles it: node proofs/check.mjs FILE...
//
// Coq starts once and reads each file from the same beginning. A file is accepted if Coq accepts each
// sentence without a warning, nothing is left open, it asks for the assumptions of its theorems, and each
// answer is that there are none. Otherwise the place and Coq's words are printed, and the status is 1.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative, sep } from "node:path";

const NONE = "Closed under the global context";
const require = createRequire(import.meta.url);

/** Coq's pretty-printed text, on lines as long as it likes. */
function text([tag, ...rest]) {
  if (tag === "Pp_string") return rest[0];
  if (tag === "Pp_glue") return rest[0].map(text).join("");
  if (tag === "Pp_box" || tag === "Pp_tag") return text(rest[1]);
  if (tag === "Pp_force_newline") return "\n";
  return tag === "Pp_print_break" ? " " : "";
}

/** Coq with its prelude, which is unpacked to a folder; it answers before `send` returns. */
async function start(folder) {
  const home = dirname(require.resolve("jscoq/package.json"));
  const fromHome = createRequire(join(home, "package.json"));
  const unzip = fromHome("fflate-unzip");
  const prelude = readFileSync(join(home, "coq-pkgs", "init.coq-pkg"));
  await (unzip.default ?? unzip)(prelude, { to: { directory: folder } });

  // The package calls its scripts modules, and this one is none.
  const Script = fromHome("module");
  const worker = join(home, "backend", "jsoo", "jscoq_worker.bc.js");
  const script = new Script(worker);
  script._compile(readFileSync(worker, "utf8"), worker);
  const coq = script.exports.jsCoq;

  let heard = [];
  coq.onmessage = (message) => heard.push(message);
  const send = (...command) => {
    heard = [];
    coq.postMessage(command);
    return heard;
  };
  const found = readdirSync(folder, { recursive: true, withFileTypes: true });
  const within = found.map((entry) => join(entry.parentPath, entry.name));
  for (const file of within.filter((name) => name.endsWith(".cma"))) send("Register", file);
  const folders = within.filter((_, i) => found[i].isDirectory());
  const lib_path = folders.map((name) => [relative(folder, name).split(sep), [name, "."]]);
  const began = send("Init", { implicit_libs: true, lib_path });
  const ready = send("NewDoc", { lib_init: ["Coq.Init.Prelude"] });
  if (!ready.some(([tag]) => tag === "Ready")) throw new Error(`Coq does not start: ${JSON.stringify(ready)}`);
  const [, version] = began.concat(ready).find(([tag]) => tag === "CoqInfo") ?? [];
  return { send, version: version?.split("\n")[0] ?? "Coq" };
}

/** What Coq says to one sentence: its answers, what it has against it, and where the sentence ends. */
function sentence(send, after, id, source) {
  const heard = [...send("Add", after, id, source, true)];
  const added = heard.find(([tag]) => tag === "Added");
  if (added) heard.push(...send("Exec", id));
  const answers = [];
  let wrong;
  for (const [tag, said] of heard) {
    if (tag === "CoqExn") wrong ??= said.msg ?? text(said.pp);
    if (tag === "JsonExn") wrong ??= said;
    if (tag !== "Feedback" || said.contents[0] !== "Message") continue;
    const [, [level], , words] = said.contents;
    if (level === "Notice" || level === "Info") answers.push(text(words).trim());
    if (level === "Warning" || level === "Error") wrong ??= text(words).trim();
  }
  return { answers, wrong, place: added?.[2], ends: heard.some(([tag]) => tag === "CoqExn") ? undefined : added?.[2]?.ep };
}

let last = 1; // no number of a sentence is used twice

/** The lines to print about one file, and whether it is accepted. */
function check(send, file) {
  const source = readFileSync(file);
  const [answers, begin, first] = [[], performance.now(), last + 1];
  const fails = (at, why) => {
    const line = source.subarray(0, at).toString().split("\n").length;
    return { accepted: false, lines: [`${file}:${line}: ${why.trim().split("\n").join("\n    ")}`] };
  };
  let [at, after, count] = [0, 1, 0];
  while (/\S/.test(source.subarray(at).toString().replace(/\(\*[^]*?\*\)/g, ""))) {
    const rest = source.subarray(at).toString();
    const skip = rest.match(/^(?:\s|\(\*[^]*?\*\))*/)[0];
    const said = sentence(send, after, ++last, rest);
    if (said.wrong || !said.ends) return fails(at + Buffer.byteLength(skip), said.wrong ?? "Coq reads no sentence here");
    answers.push(...said.answers);
    [at, after, count] = [at + said.ends, last, count + 1];
  }
  // Inside a section or a proof there can be no module.
  if (sentence(send, after, ++last, "Module At_the_end.").wrong) return fails(source.length, "a proof or a section is left open");
  const assumptions = answers.filter((answer) => answer === NONE || answer.startsWith("Axioms:") || answer.startsWith("Section Variables:"));
  if (!assumptions.length) return fails(source.length, "Print Assumptions is asked of no theorem");
  const resting = assumptions.find((answer) => answer !== NONE);
  if (resting) return fails(source.length, `a theorem rests on more than its text. ${resting}`);
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  return { accepted: true, lines: [`${file}: accepted, ${count} sentences in ${seconds} s`, ...answers.map((answer) => `    ${answer}`)], first };
}

const files = process.argv.slice(2);
if (!files.length) {
  console.error("Which files? node proofs/check.mjs proofs/Readable.v");
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), `${basename(import.meta.url, ".mjs")}-`));
try {
  const begin = performance.now();
  const { send, version } = await start(folder);
  console.log(`${version}, started in ${((performance.now() - begin) / 1000).toFixed(1)} s`);
  for (const file of files) {
    const first = last + 1;
    const { accepted, lines } = check(send, file);
    (accepted ? console.log : console.error)(lines.join("\n"));
    if (!accepted) process.exitCode = 1;
    send("Cancel", first);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
