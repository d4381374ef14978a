// Lighthouse over the built site: the median of five looks at each page given, or at the three that
// a first look finds slowest, on a simulated phone and at a desk.
//   node audit.mjs CHROMIUM SITE [PAGE …]
import { createServer } from "node:http";
import { globSync, readFileSync } from "node:fs";
import { extname, join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import { launch } from "chrome-launcher";
import lighthouse, { desktopConfig } from "lighthouse";

const [chromium, site, ...chosen] = process.argv.slice(2);
const LOOKS = 5;
const TYPES = {
  ".css": "text/css", ".html": "text/html", ".js": "text/javascript",
  ".svg": "image/svg+xml", ".woff2": "font/woff2",
};
const CATEGORIES = ["performance", "accessibility", "best-practices", "seo"];
const METRICS = {
  "first-contentful-paint": "first paint, ms",
  "largest-contentful-paint": "largest paint, ms",
  "total-blocking-time": "blocked, ms",
  "cumulative-layout-shift": "shift",
};

// As a host of static pages sends them: text compressed, names with a hash kept for a year.
const server = createServer((request, response) => {
  const path = decodeURIComponent(new URL(request.url, "http://host").pathname);
  try {
    const type = extname(path);
    const headers = { "Content-Type": TYPES[type] ?? "application/octet-stream" };
    let data = readFileSync(join(site, path));
    if (/\.[0-9a-f]{10}\./.test(path)) headers["Cache-Control"] = "max-age=31536000, immutable";
    if (type in TYPES && type !== ".woff2") {
      headers["Content-Encoding"] = "gzip";
      data = gzipSync(data);
    }
    response.writeHead(200, headers).end(data);
  } catch {
    response.writeHead(404).end();
  }
}).listen(0, "127.0.0.1");
await new Promise((ready) => server.once("listening", ready));
const flags = ["--headless=new", "--disable-background-networking"];
if (process.getuid() === 0) flags.push("--no-sandbox");

async function look(page, desk) {
  const browser = await launch({ chromePath: chromium, chromeFlags: flags });
  const url = `http://127.0.0.1:${server.address().port}/${page}`;
  const options = { port: browser.port, onlyCategories: CATEGORIES, logLevel: "error" };
  const { lhr } = await lighthouse(url, options, desk ? desktopConfig : undefined);
  await browser.kill();
  if (lhr.runtimeError) throw new Error(`${page}: ${lhr.runtimeError.message}`);
  return lhr;
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const score = (report, name) => Math.round(100 * report.categories[name].score);

let pages = chosen;
if (!pages.length) {
  const found = [];
  for (const file of globSync(join(site, "book/*.html")).toSorted()) {
    const page = relative(site, file);
    found.push([score(await look(page, false), "performance"), page]);
    console.error(...found.at(-1));
  }
  pages = found.toSorted((a, b) => a[0] - b[0]).slice(0, 3).map(([, page]) => page);
}
const failed = new Map();
const print = (row) => console.log(`| ${row.join(" | ")} |`); // as it comes: each takes minutes
// The last tells how fast this machine is: Lighthouse takes its times fourfold for a phone's.
print(["page", "on", ...CATEGORIES, ...Object.values(METRICS), "machine"]);
for (const page of pages) {
  for (const desk of [false, true]) {
    const reports = [];
    for (let k = 0; k < LOOKS; k++) reports.push(await look(page, desk));
    const scores = CATEGORIES.map((name) => median(reports.map((report) => score(report, name))));
    const times = Object.keys(METRICS).map((name) => {
      const value = median(reports.map(({ audits }) => audits[name].numericValue));
      return value < 1 ? value.toFixed(3) : value.toFixed(0);
    });
    const machine = median(reports.map(({ environment }) => environment.benchmarkIndex));
    print([page, desk ? "desk" : "phone", ...scores, ...times, machine]);
    for (const category of CATEGORIES)
      for (const { id, weight } of reports[0].categories[category].auditRefs) {
        const { score, title, details } = reports[0].audits[id];
        if (weight && score !== null && score < 0.9)
          failed.set(`${category}: ${title}`, `${page} ${JSON.stringify(details?.items?.slice(0, 2))}`);
      }
  }
}
for (const [title, place] of failed) console.log(`${title}\n  ${place.slice(0, 600)}`);
server.close();
