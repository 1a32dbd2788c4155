// `npm run bench:js [-- --json | --save | --quick] [MODEL…]`: time in Node and in Chromium beside other engines, one thread.
import { existsSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { toolReport } from "../kinglet/src/boards/index.ts";
import { writeDocs } from "./docs.ts";
import { ENGINES, type EngineName } from "./js/engines.mjs";
import { type BrowserMeasured, measureBrowser } from "./js/browser.ts";
import { type JsMeasured, measureJs } from "./js/measure.ts";
import { JS_MODELS, jsSubject } from "./js/subjects.ts";
import { measureThreads, type ThreadsMeasured } from "./js/threads.ts";
import { browserRemarks, browserTable, remarks, startTable, threadTable, timeTable } from "./js-tables.ts";
import { type JsResults, loadJs, merge, save } from "./results.ts";
import { terminal } from "./table.ts";

const PEERS = fileURLToPath(new URL("./peers", import.meta.url));
const STARTS = 5;

function printText({ models: results, browser, threads }: JsResults): void {
  console.log("Milliseconds of processor time for one inference, the call and the copies of inputs included: p10 (median).\n");
  console.log(terminal(timeTable(results)));
  console.log("\nMilliseconds of processor time from bytes to the first result in a fresh process, and bytes to send, gzipped:\n");
  console.log(terminal(startTable(results)));
  if (browser.length > 0)
    console.log(`\nMilliseconds on the wall for one inference in Chromium: p10 (median).\n\n${terminal(browserTable(browser))}`);
  if (threads.length > 0)
    console.log(`\nMilliseconds on the wall in Node with one thread and with two: p10 (median).\n\n${terminal(threadTable(threads))}`);
  console.log(["", ...remarks(results), ...browserRemarks(browser)].join("\n"));
  console.log("onnxruntime-node is native code: a yardstick, not a peer. The ceiling is the inner step alone (i32x4.dot_i16x8_s for int8, f32x4");
  console.log("multiply and add for float32), 4 × 8 tile, measured in the same rounds.");
}

const chromiumVersion = (): string => toolReport().find(({ id }) => id === "chromium")?.version ?? "";

const args = process.argv.slice(2);
const wanted = args.filter((arg) => !arg.startsWith("-"));
const unknown = wanted.filter((model) => !JS_MODELS.includes(model));
if (unknown.length > 0) throw new Error(`no model ${unknown.join(", ")}; there are ${JS_MODELS.join(", ")}`);
const quick = args.includes("--quick");
const havePeers = existsSync(`${PEERS}/node_modules`);
const engines: readonly EngineName[] = havePeers ? (Object.keys(ENGINES) as EngineName[]) : ["kinglet"];
if (!havePeers) console.error("The peers are not installed: `npm ci --prefix bench/peers` fetches half a gigabyte. Kinglet is measured alone.");

const models: JsMeasured[] = [];
const browser: BrowserMeasured[] = [];
const threads: ThreadsMeasured[] = [];
for (const model of JS_MODELS.filter((name) => wanted.length === 0 || wanted.includes(name))) {
  const subject = jsSubject(model);
  process.stderr.write(subject === null ? `${model}: its file is development data that is not here\n` : `measuring ${model}\n`);
  if (subject === null) continue;
  models.push(await measureJs(subject, { engines, peers: PEERS, starts: quick ? 0 : STARTS, ...(quick ? { budgetMs: 2000 } : {}) }));
  const inBrowser = havePeers && !quick ? await measureBrowser(subject, PEERS) : null;
  if (inBrowser !== null) browser.push(inBrowser);
  const shared = quick ? null : await measureThreads(subject);
  if (shared !== null) threads.push(shared);
}
const results: JsResults = { node: process.version, chromium: chromiumVersion(), processor: cpus()[0]?.model ?? "", models, browser, threads };
if (args.includes("--json")) console.log(JSON.stringify(results, null, 2));
else printText(results);
if (args.includes("--save")) {
  const old = loadJs();
  const merged = {
    models: merge(old.models, models, ({ model }) => model),
    browser: merge(old.browser, browser, ({ model }) => model),
    threads: merge(old.threads, threads, ({ model }) => model),
  };
  save("js", { ...results, ...merged });
  writeDocs();
}
