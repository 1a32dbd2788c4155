import { ENGINES, type EngineName } from "./js/engines.mjs";
import type { BrowserEngine, BrowserMeasured } from "./js/browser.ts";
import type { EngineResult, JsMeasured } from "./js/measure.ts";
import type { ThreadsMeasured } from "./js/threads.ts";
import { gzipLimit, JS_TARGETS, RELAXED_TARGETS, START_TARGET, THREAD_TARGETS } from "./js/targets.ts";
import { figure, NONE, type Table, verdict } from "./table.ts";

const ALL = Object.keys(ENGINES) as EngineName[];
const WASM_PEERS = ALL.filter((name) => name !== "kinglet" && !ENGINES[name].native);

const ms = (value: number | undefined): string => (value === undefined ? NONE : value >= 100 ? figure(value) : value.toPrecision(3));
const times = (result: EngineResult | undefined): string => (result === undefined ? NONE : `${ms(result.cpuP10Ms)} (${ms(result.cpuMedianMs)})`);

function ratioText(ratio: number | null, target: number | undefined): string {
  if (ratio === null) return NONE;
  return target === undefined ? ratio.toFixed(2) : `${ratio.toFixed(2)} ≥ ${target} ${verdict(ratio >= target)}`;
}

const shareText = (gmacs: number, ceiling: number): string =>
  `${gmacs.toFixed(1)} of ${ceiling.toFixed(1)}, ${Math.round((100 * gmacs) / ceiling)} %`;

/** One inference, call and copies included: tenth percentile and, in brackets, median of processor time. */
export function timeTable(results: readonly JsMeasured[]): Table {
  const rows = results.map((result) => {
    const { model, engines, gmacs, ceilingGmacs } = result;
    const share = shareText(gmacs, ceilingGmacs);
    return [model, ...ALL.map((name) => times(engines[name])), ratioText(result.ratio, JS_TARGETS[model]), share];
  });
  return { titles: ["model", ...ALL.map((name) => `${name} ms`), "fastest peer ÷ Kinglet", "GMAC/s of the ceiling"], rows };
}

const BROWSER_ENGINES: readonly BrowserEngine[] = ["kinglet", "tfjs-tflite", "litert"];

/** One inference in Chromium by the clock on the wall, which is all that a page has; relaxed SIMD where an engine uses it. */
export function browserTable(results: readonly BrowserMeasured[]): Table {
  const rows = results.map(({ model, engines, ratio, gmacs, ceilingGmacs, relaxedGmacs }) => {
    const taken = BROWSER_ENGINES.map((name) => {
      const time = engines[name];
      return time === undefined ? NONE : `${ms(time.p10Ms)} (${ms(time.medianMs)})`;
    });
    return [model, ...taken, ratioText(ratio, RELAXED_TARGETS[model] ?? JS_TARGETS[model]), shareText(gmacs, ceilingGmacs), relaxedGmacs.toFixed(1)];
  });
  const titles = ["model", ...BROWSER_ENGINES.map((name) => `${name} ms`), "faster peer ÷ Kinglet", "GMAC/s of the ceiling", "relaxed ceiling"];
  return { titles, rows };
}

export function browserRemarks(results: readonly BrowserMeasured[]): string[] {
  return results.flatMap(({ model, failures }) => Object.entries(failures).map(([name, why]) => `${model}: ${name} did not run in Chromium: ${why}`));
}

/** From bytes to the first result in a fresh process, and bytes to send. */
export function startTable(results: readonly JsMeasured[]): Table {
  const rows = results.map(({ model, engines, gzipBytes, weightGzipBytes }) => {
    const starts = ALL.map((name) => ms(engines[name]?.start?.cpuMs));
    const peers = WASM_PEERS.flatMap((name) => engines[name]?.start?.cpuMs ?? []);
    const share = (engines.kinglet!.start?.cpuMs ?? Number.NaN) / Math.min(...peers);
    const limit = gzipLimit(weightGzipBytes);
    const bytes = `${figure(gzipBytes)} ≤ ${figure(limit)} ${verdict(gzipBytes <= limit)}`;
    return [model, ...starts, Number.isFinite(share) ? `${share.toFixed(2)} ≤ ${START_TARGET} ${verdict(share <= START_TARGET)}` : NONE, bytes];
  });
  return { titles: ["model", ...ALL.map((name) => `${name} ms`), "Kinglet ÷ fastest peer", "gzipped B"], rows };
}

/** One inference on the wall with one thread and with two. */
export function threadTable(results: readonly ThreadsMeasured[]): Table {
  const rows = results.map(({ model, oneP10Ms, oneMedianMs, twoP10Ms, twoMedianMs, gain }) => [
    model,
    `${ms(oneP10Ms)} (${ms(oneMedianMs)})`,
    `${ms(twoP10Ms)} (${ms(twoMedianMs)})`,
    ratioText(gain, THREAD_TARGETS[model]),
  ]);
  return { titles: ["model", "one thread ms", "two threads ms", "gain"], rows };
}

/** What did not run, and results that lie apart: not a mistake of either, but something to know. */
export function remarks(results: readonly JsMeasured[]): string[] {
  return results.flatMap(({ model, precision, engines, failures }) => {
    const apart = ALL.filter((name) => (engines[name]?.difference ?? 0) > (precision === "int8" ? 0 : 1e-4));
    const unit = precision === "int8" ? " steps" : "";
    return [
      ...apart.map((name) => `${model}: ${name} differs by up to ${Number(engines[name]!.difference.toPrecision(2))}${unit}`),
      ...Object.entries(failures).map(([name, why]) => `${model}: ${name} did not run: ${why}`),
    ];
  });
}
