// Answers to exercises: written in the editor, judged by Python.
const element = (name, text) => {
  const made = document.createElement(name);
  // `code` is code
  text.split("`").forEach((part, k) => {
    made.append(k % 2 ? Object.assign(document.createElement("code"), { textContent: part }) : part);
  });
  return made;
};

const pre = (text) => Object.assign(document.createElement("pre"), { textContent: text.trimEnd() });

const show = (place, { passes, said, line, hint, printed }, tries) => {
  place.className = passes ? "passes" : "wrong";
  place.append(element("p", `${passes ? "✓" : "✗ Not yet."} ${line ? `Line ${line}: ` : ""}${said}`));
  if (hint) place.append(element("p", `Hint: ${hint}`));
  else if (!passes && tries > 1) place.append(element("p", "Stuck? The solution is folded, below."));
  if (printed) place.append(element("p", "Your code printed:"), pre(printed));
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
