// `npm run bench:js [-- --json] [--quick] [MODEL…]`: time in Node beside other engines, one thread, interleaved in one process.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { formatTable } from "../kinglet/src/report/index.ts";
import { ENGINES, type EngineName } from "./js/engines.mjs";
import { type JsMeasured, measureJs } from "./js/measure.ts";
import { JS_MODELS, jsSubject } from "./js/subjects.ts";
import { gzipLimit, JS_TARGETS, START_TARGET } from "./js/targets.ts";

const PEERS = fileURLToPath(new URL("./peers", import.meta.url));
const ALL = Object.keys(ENGINES) as EngineName[];
const PEER_NAMES = ALL.filter((name) => name !== "kinglet");
const STARTS = 5;

const ms = (value: number | undefined): string => (value === undefined ? "–" : value.toPrecision(3));
const verdict = (hit: boolean): string => (hit ? "hit" : "MISS");

function ratioText({ ratio, model }: JsMeasured): string {
  if (ratio === null) return "–";
  const target = JS_TARGETS[model];
  return target === undefined ? ratio.toFixed(2) : `${ratio.toFixed(2)} ≥ ${target} ${verdict(ratio >= target)}`;
}

function timeRow(result: JsMeasured): string[] {
  const { model, engines, gmacs, ceilingGmacs } = result;
  const times = ALL.flatMap((name) => [ms(engines[name]?.cpuP10Ms), ms(engines[name]?.cpuMedianMs)]);
  return [model, ...times, ratioText(result), `${gmacs.toFixed(1)} of ${ceilingGmacs.toFixed(1)} (${Math.round((100 * gmacs) / ceilingGmacs)} %)`];
}

function startRow({ model, engines, gzipBytes, weightGzipBytes }: JsMeasured): string[] {
  const times = ALL.map((name) => ms(engines[name]?.start?.cpuMs));
  const peers = PEER_NAMES.filter((name) => !ENGINES[name].native).flatMap((name) => engines[name]?.start?.cpuMs ?? []);
  const share = (engines.kinglet!.start?.cpuMs ?? Number.NaN) / Math.min(...peers);
  const limit = gzipLimit(weightGzipBytes);
  const bytes = `${gzipBytes.toLocaleString("en-US")} ≤ ${Math.round(limit).toLocaleString("en-US")} ${verdict(gzipBytes <= limit)}`;
  return [model, ...times, Number.isFinite(share) ? `${share.toFixed(2)} ≤ ${START_TARGET} ${verdict(share <= START_TARGET)}` : "–", bytes];
}

function printText(results: readonly JsMeasured[]): void {
  const right = (title: string): { title: string; align: "right" } => ({ title, align: "right" });
  const times = ALL.flatMap((name) => [right(`${name} p10`), right("median")]);
  console.log("Milliseconds of processor time for one inference, the call and the copies of inputs included:\n");
  console.log(
    formatTable([{ title: "model" }, ...times, { title: "fastest peer ÷ Kinglet" }, { title: "GMAC/s of the ceiling" }], results.map(timeRow)),
  );
  console.log("\nMilliseconds of processor time from bytes to the first result in a fresh process, and bytes to send, gzipped:\n");
  console.log(
    formatTable([{ title: "model" }, ...ALL.map(right), { title: "Kinglet ÷ fastest peer" }, { title: "module and loader" }], results.map(startRow)),
  );
  for (const { model, precision, engines, failures } of results) {
    for (const name of PEER_NAMES) {
      const difference = engines[name]?.difference ?? 0;
      if (precision === "int8" ? difference > 0 : difference > 1e-4) console.log(`${model}: ${name} differs by ${difference.toPrecision(2)}`);
    }
    for (const [name, why] of Object.entries(failures)) console.log(`${model}: ${name} did not run: ${why}`);
  }
  console.log("\nonnxruntime-node is native code: a yardstick, not a peer. The ceiling is the inner step alone (i32x4.dot_i16x8_s for int8, f32x4");
  console.log("multiply and add for float32), 4 × 8 tile, measured in the same rounds.");
}

const args = process.argv.slice(2);
const wanted = args.filter((arg) => !arg.startsWith("-"));
const unknown = wanted.filter((model) => !JS_MODELS.includes(model));
if (unknown.length > 0) throw new Error(`no model ${unknown.join(", ")}; there are ${JS_MODELS.join(", ")}`);
const havePeers = existsSync(`${PEERS}/node_modules`);
if (!havePeers) console.error("The peers are not installed: `npm ci --prefix bench/peers` fetches half a gigabyte. Kinglet is measured alone.");
const results: JsMeasured[] = [];
for (const model of JS_MODELS.filter((name) => wanted.length === 0 || wanted.includes(name))) {
  const subject = jsSubject(model);
  if (subject === null) {
    console.error(`${model}: its file is development data that is not here`);
    continue;
  }
  process.stderr.write(`measuring ${model}\n`);
  const quick = args.includes("--quick");
  const starts = quick ? 0 : STARTS;
  results.push(await measureJs(subject, { engines: havePeers ? ALL : ["kinglet"], peers: PEERS, starts, ...(quick ? { budgetMs: 2000 } : {}) }));
}
if (args.includes("--json")) console.log(JSON.stringify({ node: process.version, models: results }, null, 2));
else printText(results);
