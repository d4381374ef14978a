// What a page does once a reader has pressed Run or Edit: it holds Python, and what each cell has run.
import { answers } from "./answers.js";
import { keep, forget, kept } from "./offline.js";
import { restore, show } from "./outputs.js";
import { make, script } from "../theme/make.js";

const PATIENCE = 30000; // without a byte or a word from the worker

// Python, in a worker that ends when it is stopped.
class Python {
  constructor(folder, index, heard) {
    Object.assign(this, { folder, index, heard, calls: new Map(), count: 0 });
  }

  start() {
    return (this.started ??= this.begin());
  }

  async begin() {
    await keep(this.folder);
    this.worker = new Worker(this.folder + this.index.worker);
    this.worker.onmessage = ({ data }) => {
      this.last = Date.now();
      if (data.bytes || data.expected) return this.heard(data);
      if (data.refused) return this.end(data.refused);
      const call = this.calls.get(data.id);
      this.calls.delete(data.id);
      if (data.error) call.failed(new Error(data.error));
      else call.done(data.value);
    };
    this.worker.onerror = (event) => this.end(event.message || `${this.index.worker} did not come`);
    this.last = Date.now();
    const waiting = setInterval(() => {
      if (Date.now() - this.last > PATIENCE) this.end("nothing was heard for 30 s. Is there a connection?");
    }, 1000);
    this.ended = () => clearInterval(waiting);
    try {
      await this.call("start", { folder: this.folder, index: this.index });
    } catch (error) {
      this.end(error.message);
      throw error;
    } finally {
      clearInterval(waiting);
    }
  }

  call(job, given) {
    return new Promise((done, failed) => {
      const id = ++this.count;
      this.calls.set(id, { done, failed });
      this.worker.postMessage({ id, job, ...given });
    });
  }

  // The worker ends, and so does what waits for it.
  end(why) {
    this.ended?.();
    this.worker?.terminate();
    this.dead = true;
    for (const { failed } of this.calls.values()) failed(new Error(why));
    this.calls.clear();
  }
}

self.liveSession = async (index, root, page) => {
  document.head.append(make("link", { rel: "stylesheet", href: `${root}_static/${index.style}` }));
  self.liveColours = index.colours;
  self.liveMacros = index.macros;
  const folder = new URL(`${root}_live/`, location.href).href;
  const answer = await fetch(`${folder}cells/${page}.json`);
  if (!answer.ok) throw new Error("the cells of this page did not come. Is there a connection?");
  const name = (number) => `live ${page} ${number}`;
  const plan = (await answer.json()).map(({ number, source }) => {
    const element = document.querySelector(`[data-cell="${number}"]`);
    const text = JSON.parse(localStorage.getItem(name(number)) ?? "null");
    // an edit of another edition of the cell is no longer one
    return { number, source, element, text: text?.of === source ? text.text : source, ran: null };
  });
  for (const cell of plan) if (cell.text === cell.source) localStorage.removeItem(name(cell.number));
  const at = (number) => plan.findIndex((cell) => cell.number === number);

  // The panel: what Python does, and what can be asked of it.
  const panel = make("aside", { className: "live-panel", hidden: true, ariaLabel: "Python on this page" });
  panel.innerHTML = `<p role="status"></p>
<div class="row"><progress aria-label="Progress"></progress>
<button type="button" data-do="stop">Stop</button>
<button type="button" data-do="all">Run all</button>
<button type="button" data-do="forget" hidden>Remove the <span></span><small> kept for next time</small></button>
<button type="button" data-do="close">Close</button></div>`;
  document.body.append(panel);
  const [status, bar] = panel.querySelectorAll("p, progress");
  const button = (what) => panel.querySelector(`[data-do="${what}"]`);
  const say = (text) => (status.textContent = text);
  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
  let came = 0;
  let wanted = 0;
  const heard = ({ expected, bytes = 0 }) => {
    if (expected) {
      if (came >= wanted) came = wanted = 0; // all that was wanted before is there
      for (const name of expected) wanted += index.sizes[name];
    }
    came = Math.min(wanted, came + bytes);
    bar.max = wanted;
    bar.value = came;
    if (!panel.classList.contains("busy")) return; // it starts again by itself, after Stop
    status.textContent = `Loading what the cell needs: ${(came / 1e6).toFixed(1)} of ${megabytes(wanted)}`;
    if (came < wanted) return;
    say(`Starting what was loaded: ${megabytes(came)}`);
    endless();
  };
  const endless = () => bar.removeAttribute("value"); // nobody knows how long it takes
  const offer = async () => {
    const size = await kept();
    button("forget").hidden = !size;
    button("forget").querySelector("span").textContent = megabytes(size);
  };

  let python = new Python(folder, index, heard);
  const fresh = () => {
    python = new Python(folder, index, heard);
    came = wanted = 0;
    for (const cell of plan) cell.ran = null;
  };

  // Cells that only check stand right after what they check, and are run with it.
  const checks = (from) => {
    let end = from;
    while (plan[end + 1]?.element?.closest("details.check")) end += 1;
    return end;
  };

  // A cell says in its own bar what it does.
  const now = (cell, text) => {
    const tools = cell?.element?.querySelector(".live");
    if (!tools) return;
    if (text) tools.dataset.now = text;
    else delete tools.dataset.now;
    tools.firstElementChild.ariaBusy = Boolean(text);
  };

  async function execute(first, last, asked) {
    for (let k = first; k <= last; k += 1) {
      const cell = plan[k];
      say(`Running cell ${k + 1} of ${plan.length}`);
      bar.max = plan.length;
      bar.value = k + 1;
      now(cell, "Running");
      cell.element?.classList.add("running");
      const text = cell.text;
      let outputs;
      try {
        outputs = await python.call("run", { source: text, number: k + 1 });
      } finally {
        cell.element?.classList.remove("running");
        now(cell, "");
      }
      cell.ran = text;
      const changed = asked === undefined || plan.slice(0, k + 1).some((one) => one.text !== one.source);
      const failed = outputs.some((output) => output.error);
      if (cell.element && (changed || failed || k === asked || cell.live)) {
        if (outputs.some((output) => output.markdown)) await (self.liveRender ?? script(`${root}_static/${index.render}`));
        show(cell.element, outputs, `Output of cell ${k + 1}`);
        cell.live = true;
      }
      if (failed) return { cell, error: outputs.find((output) => output.error) };
    }
    return undefined;
  }

  let queue = Promise.resolve();
  const later = (work) => (queue = queue.then(work, work));
  const from = (last) => {
    const first = plan.findIndex((cell, k) => k <= last && cell.ran !== cell.text);
    return first < 0 ? last : first; // what is below a change may depend on it
  };

  // What Python gives once it has started; nothing if it ends.
  async function work(task) {
    panel.hidden = false;
    bar.hidden = false;
    endless();
    panel.classList.add("busy");
    const mine = python;
    try {
      if (!mine.started) say("Starting Python. Nothing is sent anywhere.");
      await mine.start();
      return await task();
    } catch (error) {
      if (mine === python) fresh();
      say(mine.stopped ? "Stopped. Run starts from the first cell again." : `Python ended: ${error.message} Run starts it anew.`);
    } finally {
      bar.hidden = true;
      panel.classList.remove("busy");
      offer();
    }
  }

  // Up to this cell, from the first that has to run again; with no cell asked for, all of them.
  const run = (last, asked) => work(async () => {
    const stopped = await execute(asked === undefined ? 0 : from(last), last, asked);
    if (!stopped) return say(`Done: cell ${last + 1} of ${plan.length}.`);
    const place = stopped.cell.number === plan[asked]?.number ? "This cell" : `Cell ${at(stopped.cell.number) + 1}, above,`;
    say(`${place} stopped: ${stopped.error.error.split("\n").at(-1)}`);
    if (stopped.cell !== plan[asked]) stopped.cell.element?.scrollIntoView({ block: "center" });
  }).finally(() => now(plan[asked], ""));
  const ask = (number) => {
    const k = at(number);
    now(plan[k], "Waiting");
    return later(() => run(checks(k), k));
  };

  // The verdict stands in the exercise's own place, so the panel goes where nobody has opened it.
  const judge = (exercise, answer) => later(async () => {
    const closed = panel.hidden;
    const verdict = await work(() => {
      say("Checking the answer");
      return python.call("judge", { exercise, answer });
    });
    if (!verdict) return undefined;
    say("Done: the answer is checked.");
    panel.hidden = closed;
    return verdict;
  });
  const editor = { load: async () => self.liveEditor ?? (await script(`${root}_static/${index.editor}`)) };

  button("all").onclick = () => later(() => run(plan.length - 1));
  button("stop").onclick = () => {
    python.stopped = true;
    python.end("stopped");
    fresh();
    python.start().catch(() => {}); // warm, for the next press
    say("Stopped. Run starts from the first cell again.");
  };
  button("close").onclick = () => (panel.hidden = true);
  button("forget").onclick = async () => {
    await forget();
    await offer();
    say("Removed. The next Run loads Python again.");
  };

  const edited = (cell) => {
    cell.element.classList.toggle("edited", cell.text !== cell.source);
    const tools = cell.element.querySelector(".live");
    tools.querySelector(".reset")?.remove();
    if (cell.text === cell.source) return localStorage.removeItem(name(cell.number));
    localStorage.setItem(name(cell.number), JSON.stringify({ of: cell.source, text: cell.text }));
    const reset = make("button", { type: "button", className: "reset", textContent: "Reset" });
    reset.onclick = () => {
      cell.text = cell.source;
      cell.editor?.set(cell.source);
      const pre = cell.element.querySelector(".cell_input pre");
      if (pre) pre.innerHTML = cell.shown;
      restore(cell.element);
      cell.live = false;
      edited(cell);
      tools.querySelector("button").focus();
    };
    return tools.append(reset);
  };
  for (const cell of plan) {
    const pre = cell.element?.querySelector(".cell_input pre");
    if (!pre) continue;
    cell.shown = pre.innerHTML;
    if (cell.text === cell.source && !cell.element.classList.contains("edited")) continue;
    pre.textContent = cell.text;
    cell.shown = new Option(cell.source).innerHTML; // its colours are gone
    edited(cell);
  }

  return {
    ...answers({ address: `${folder}exercises/${page}.json`, editor, judge }),
    run: ask,
    edit: async (number) => {
      const cell = plan[at(number)];
      await editor.load();
      cell.editor ??= self.liveEditor(cell.element.querySelector(".cell_input pre"), cell.text, {
        label: `Code of cell ${at(number) + 1}`,
        changed: (text) => {
          cell.text = text;
          edited(cell);
        },
        run: () => ask(number),
      });
      cell.editor.focus();
    },
  };
};
