// One Python for one page, in a thread of its own: it can reach neither the page nor its cookies.
let python, runner, folder, index;

// Each file must be the one that was published; what comes in is counted. Not every caller passes an
// error on, so the page is told by itself.
const refuse = (why) => {
  self.postMessage({ refused: why });
  throw new Error(why);
};
const plain = self.fetch.bind(self);
self.fetch = async (request, options = {}) => {
  const name = decodeURIComponent(String(request.url ?? request).replace(/^.*\//, ""));
  const integrity = index.integrity[name];
  let answer;
  try {
    answer = await plain(request, integrity ? { ...options, integrity } : options);
  } catch {
    refuse(`${name} did not come whole, or is not the file that was published.`);
  }
  if (!answer.ok) refuse(`${name} is not there: the server answered ${answer.status}.`);
  // As it came from the cache: a browser keeps what it has compiled from it.
  if (name.endsWith(".wasm")) {
    self.postMessage({ name, bytes: index.sizes[name] });
    return answer;
  }
  const counted = new TransformStream({
    transform(chunk, to) {
      self.postMessage({ name, bytes: chunk.length });
      to.enqueue(chunk);
    },
  });
  return new Response(answer.body.pipeThrough(counted), answer);
};

// What will be fetched, so that the page can say how far it is.
const asked = new Set();
const expect = (names) => {
  const expected = [...new Set(names)].filter((name) => !asked.has(name));
  for (const name of expected) asked.add(name);
  if (expected.length) self.postMessage({ expected });
};

const unpack = async (name) => {
  expect([index[name]]);
  const data = await (await self.fetch(folder + index[name])).arrayBuffer();
  python.unpackArchive(data, "zip", { extractDir: "/book" });
};

const load = async (names) => {
  expect(names.flatMap((name) => index.files[name] ?? []));
  const quiet = { messageCallback() {}, errorCallback() {}, checkIntegrity: true };
  await python.loadPackage(names, quiet);
  const missing = names.filter((name) => !(name in python.loadedPackages));
  if (missing.length) throw new Error(`${missing.join(", ")} did not come whole, or cannot be used`);
};

const bring = async (names) => {
  const packages = names.filter((name) => name !== "experiments");
  if (packages.length) await load(packages);
  if (names.includes("experiments")) await unpack("experiments"); // its rows and texts
  for (const name of [...names, ...Object.keys(python.loadedPackages)]) runner.loaded(name);
};

const jobs = {
  async start(given) {
    ({ folder, index } = given);
    const indexURL = `${folder}${index.python}/`;
    expect([...index.start, ...index.files.numpy, index.book]);
    importScripts(`${indexURL}pyodide.js`);
    const env = { HOME: "/home", MPLBACKEND: "module://matplotlib_inline.backend_inline" };
    // NumPy comes while Python starts; what is said of that is nothing for readers.
    python = await loadPyodide({ indexURL, packageBaseUrl: indexURL, env, packages: ["numpy"], stdout() {} });
    await load(["numpy"]);
    await unpack("book");
    python.runPython(`
import os, sys
sys.path.insert(0, "/book/src")
os.makedirs("/book/book", exist_ok=True)
os.chdir("/book/book")
`);
    runner = python.pyimport("booktools.live.runner");
    runner.know(JSON.stringify(index.needs), JSON.stringify([...index.packages, "experiments"]));
    runner.loaded("numpy");
  },

  async run({ source, number }) {
    await bring(JSON.parse(runner.wanted(source)));
    return JSON.parse(runner.run(source, number));
  },

  async judge({ exercise, answer }) {
    await bring(JSON.parse(runner.imported(answer)));
    const { judge } = python.pyimport("booktools.live.judge");
    return judge(python.toPy(exercise), answer).toJs({ dict_converter: Object.fromEntries });
  },
};

self.onmessage = async ({ data: { id, job, ...given } }) => {
  try {
    self.postMessage({ id, value: await jobs[job](given) });
  } catch (error) {
    self.postMessage({ id, error: String(error.message ?? error) });
  }
};
