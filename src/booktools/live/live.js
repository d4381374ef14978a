// Buttons on the cells. Nothing else is loaded before one of them is pressed.
import { make, script } from "../theme/make.js";

const { content_root: root, page } = document.documentElement.dataset;
const about = "Python did not start: ";
let session;

const begin = async () => {
  if (location.protocol === "file:")
    throw "a folder that is opened as files cannot run it. Serve it: python -m http.server, or read the published site.";
  if (!self.WebAssembly || !self.Worker) throw "this browser is too old for it.";
  const answer = await fetch(`${root}_live/index.json`, { cache: "no-cache" }).catch(() => ({}));
  if (!answer.ok) throw "the server did not answer. Is there a connection?";
  const index = await answer.json();
  await script(`${root}_static/${index.session}`);
  return liveSession(index, root, page);
};

const ask = async (what, cell, tools) => {
  tools.querySelector("[role=alert]")?.remove();
  try {
    await (await (session ??= begin()))[what](cell);
  } catch (error) {
    session = undefined;
    tools.append(make("p", { role: "alert", textContent: about + (error.message ?? error) }));
  }
};

// Answers to exercises: the text is kept for the next visit, the editor comes when it is wanted.
for (const box of document.querySelectorAll(".answer")) {
  const text = box.querySelector("textarea");
  const [check, reset] = box.querySelectorAll("button");
  const name = `live ${page} ${box.dataset.exercise}`;
  text.value = localStorage.getItem(name) ?? text.value;
  text.oninput = () => localStorage.setItem(name, text.value);
  text.onfocus = () => ask("write", box, box);
  check.onclick = () => ask("check", box, box);
  reset.onclick = () => {
    box.editor?.set(text.defaultValue);
    text.value = text.defaultValue;
    localStorage.removeItem(name);
    box.querySelector("[role=status]").replaceChildren();
  };
}

for (const cell of document.querySelectorAll(".cell[data-cell]")) {
  const input = cell.querySelector(".cell_input");
  if (!input) continue;
  const tools = make("div", { className: "live" });
  for (const [what, textContent] of [["run", "Run"], ["edit", "Edit"]]) {
    const onclick = () => ask(what, +cell.dataset.cell, tools);
    tools.append(make("button", { type: "button", textContent, onclick }));
  }
  input.append(tools);
  const kept = localStorage.getItem(`live ${page} ${cell.dataset.cell}`);
  if (kept === null) continue;
  cell.classList.add("edited"); // on an earlier visit
  input.querySelector("pre").textContent = JSON.parse(kept).text;
}
