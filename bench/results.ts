import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type { CoreId } from "../kinglet/src/boards/index.ts";
import type { Optimize } from "../kinglet/src/targets/share.ts";
import type { BrowserMeasured } from "./js/browser.ts";
import type { JsMeasured } from "./js/measure.ts";
import type { ThreadsMeasured } from "./js/threads.ts";

/** How the memory plan was asked for; see `PLANS` in jobs.ts. */
export type PlanName = "default" | "fused" | "streamed";

/** One network on one emulated core. Every figure is exact: it depends on the compiler's version and on nothing else (instructions: see `TICK`). */
export interface McuRun {
  readonly model: string;
  readonly core: CoreId;
  readonly goal: Optimize;
  readonly plan: PlanName;
  readonly instructions: number;
  readonly arenaBytes: number;
  /** No plan of this program needs less. */
  readonly lowerBoundBytes: number;
  readonly stackBytes: number;
  readonly codeBytes: number;
  readonly weightBytes: number;
}

/** What does not depend on a core. Bytes are exact, the time is one machine's. */
export interface ModelFacts {
  readonly model: string;
  readonly macs: number;
  readonly compileMs: number;
  readonly wasmGzipBytes: number;
}

export interface McuResults {
  /** First lines of the tools' own version texts. */
  readonly tools: Readonly<Record<string, string>>;
  readonly models: readonly ModelFacts[];
  readonly runs: readonly McuRun[];
}

export interface JsResults {
  readonly node: string;
  readonly chromium: string;
  readonly processor: string;
  readonly models: readonly JsMeasured[];
  readonly browser: readonly BrowserMeasured[];
  readonly threads: readonly ThreadsMeasured[];
}

const fileOf = (name: "mcu" | "js"): string => fileURLToPath(new URL(`./results/${name}.json`, import.meta.url));

function load<T>(name: "mcu" | "js", empty: T): T {
  return existsSync(fileOf(name)) ? (JSON.parse(readFileSync(fileOf(name), "utf8")) as T) : empty;
}

const NO_JS_RESULTS: JsResults = { node: "", chromium: "", processor: "", models: [], browser: [], threads: [] };

/** The figures of the last saved measurement. */
export const loadMcu = (): McuResults => load("mcu", { tools: {}, models: [], runs: [] });
export const loadJs = (): JsResults => ({
  ...NO_JS_RESULTS,
  ...load("js", NO_JS_RESULTS),
});

/** One entry a line, so that a change of one figure is a change of one line. */
export function resultsText(results: McuResults | JsResults): string {
  const lines = Object.entries(results).map(([key, value]) => {
    if (!Array.isArray(value)) return `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`;
    return `  ${JSON.stringify(key)}: [\n${value.map((one) => `    ${JSON.stringify(one)}`).join(",\n")}\n  ]`;
  });
  return `{\n${lines.join(",\n")}\n}\n`;
}

export function save(name: "mcu" | "js", results: McuResults | JsResults): void {
  mkdirSync(dirname(fileOf(name)), { recursive: true });
  writeFileSync(fileOf(name), resultsText(results));
}

export const runKey = ({ model, core, goal, plan }: Pick<McuRun, "model" | "core" | "goal" | "plan">): string => `${model} ${core} ${goal} ${plan}`;

/** Old entries with the new ones in their places, sorted by key. */
export function merge<T>(old: readonly T[], fresh: readonly T[], key: (one: T) => string): T[] {
  const all = new Map([...old, ...fresh].map((one) => [key(one), one]));
  return [...all].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
}

/** The timer's tick is less than an instruction, but where it begins depends on what ran before: counts may be off by one. */
const TICK = 1;

const FIGURES = ["instructions", "arenaBytes", "lowerBoundBytes", "stackBytes", "codeBytes", "weightBytes"] as const;

/** Every figure that is not what it was, named: model, core, goal, figure, before and after. */
export function differences(was: readonly McuRun[], is: readonly McuRun[]): string[] {
  const before = new Map(was.map((run) => [runKey(run), run]));
  return is.flatMap((run) => {
    const place = `${run.model} on ${run.core}, ${run.goal}${run.plan === "default" ? "" : `, ${run.plan}`}`;
    const old = before.get(runKey(run));
    if (old === undefined) return [`${place}: there is no stored figure`];
    return FIGURES.filter((figure) => Math.abs(old[figure] - run[figure]) > (figure === "instructions" ? TICK : 0)).map((figure) => {
      const [a, b] = [old[figure], run[figure]];
      const change = a === 0 ? "" : ` (${b > a ? "+" : ""}${((100 * (b - a)) / a).toFixed(2)} %)`;
      return `${place}: ${figure} was ${a.toLocaleString("en-US")} and is ${b.toLocaleString("en-US")}${change}`;
    });
  });
}
