// Answers to exercises: written in the editor, judged by Python.
import { make } from "../theme/make.js";

// A paragraph, in which `code` is code.
const paragraph = (text) => make("p", {}, ...text.split("`").map((part, k) => (k % 2 ? make("code", {}, part) : part)));

const show = (place, { passes, said, line, hint, printed }, tries) => {
  place.className = passes ? "passes" : "wrong";
  place.append(paragraph(`${passes ? "✓" : "✗ Not yet."} ${line ? `Line ${line}: ` : ""}${said}`));
  if (hint) place.append(paragraph(`Hint: ${hint}`));
  else if (!passes && tries > 1) place.append(paragraph("Stuck? The solution is folded, below."));
  if (printed) place.append(paragraph("Your code printed:"), make("pre", {}, printed.trimEnd()));
};

export const answers = ({ address, editor, judge }) => {
  let exercises;
  const parts = (box) => ({ text: box.querySelector("textarea"), place: box.querySelector("[role=status]") });
  const tries = new Map();

  const check = async (box) => {
    const { text, place } = parts(box);
    place.replaceChildren();
    if (!exercises) {
      const answer = await fetch(address);
      if (!answer.ok) throw new Error("the exercises of this page did not come. Is there a connection?");
      exercises = await answer.json();
    }
    const verdict = await judge(exercises[box.dataset.exercise], text.value);
    if (!verdict) return; // stopped, as the panel says
    tries.set(box, (tries.get(box) ?? 0) + 1);
    place.replaceChildren();
    show(place, verdict, tries.get(box));
  };

  const write = async (box) => {
    const { text } = parts(box);
    await editor.load();
    if (box.editor) return;
    const focused = document.activeElement === text;
    box.editor = self.liveEditor(text, text.value, {
      label: `Your answer: ${box.querySelector("p").textContent}`,
      at: text.selectionStart,
      changed(now) {
        text.value = now;
        text.oninput(); // keeps it
      },
      run: () => box.querySelector("button").click(),
      next() {},
    });
    if (focused) box.editor.focus();
  };

  return { check, write };
};
