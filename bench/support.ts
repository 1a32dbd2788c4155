// `npm run support`: runs the tests that show what operators do (or those of the given files), and writes docs/support.md and
// bench/results/support.json from that. `-- --from FILE` writes them from what `KINGLET_SUPPORT=FILE npm test` left there, and
// `-- --check FILE` compares with what is written down; scripts/check.mjs does so.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { supportText } from "./support-page.ts";

/** Numbers of cases by suite, way, operator and label: an element type, or the reason of a refusal. */
export type Tally = Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, number>>>>>>>>;

/** What the reporter writes. */
interface Run {
  readonly tally: Tally;
  /** Suites and ways ("onnx/node") of which a test did not pass. */
  readonly missing: readonly string[];
}

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const STORED = join(ROOT, "bench/results/support.json");
export const SUPPORT_PAGE = join(ROOT, "docs/support.md");

/** The tests that say what they show. */
const TESTS = [
  "kinglet/src/driver/conformance.test.ts",
  "kinglet/src/driver/op-cases.test.ts",
  "kinglet/src/driver/onnx-cases.test.ts",
  "kinglet/src/formats/tflite/write.test.ts",
  "kinglet/src/formats/kinglet/kinglet.test.ts",
];

export function loadSupport(): Tally {
  return JSON.parse(readFileSync(STORED, "utf8")) as Tally;
}

/** In alphabetical order, so that the same results are the same file. */
function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}

/** Each suite and way. */
function columns(tally: Tally): string[] {
  return Object.entries(tally).flatMap(([suite, ways]) => Object.keys(ways).map((way) => `${suite}/${way}`));
}

function column(tally: Tally, name: string): unknown {
  const [suite, way] = name.split("/") as [string, string];
  return tally[suite]?.[way] ?? {};
}

/** Columns that a run shows whole and that are written down otherwise, and those that it does not show whole. */
export function compareSupport(stored: Tally, { tally, missing }: Run): { readonly different: string[]; readonly unknown: string[] } {
  const all = [...new Set([...columns(stored), ...columns(tally)])].sort();
  const whole = new Set(columns(tally).filter((name) => !missing.includes(name)));
  return {
    different: all.filter((name) => whole.has(name) && !isDeepStrictEqual(column(stored, name), column(tally, name))),
    unknown: all.filter((name) => !whole.has(name)),
  };
}

function loadRun(file: string): Run {
  return JSON.parse(readFileSync(file, "utf8")) as Run;
}

function check(file: string): void {
  const { different, unknown } = compareSupport(loadSupport(), loadRun(file));
  if (unknown.length > 0) console.log(`not checked, since tests of them did not run: ${unknown.join(", ")}`);
  if (different.length === 0) return;
  console.log(`docs/support.md is not what this run showed about ${different.join(", ")}: npm run support writes it anew`);
  process.exitCode = 1;
}

function runTests(files: readonly string[]): Run {
  const folder = mkdtempSync(join(tmpdir(), "kinglet-support-"));
  const file = join(folder, "support.json");
  const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");
  try {
    const { status } = spawnSync(process.execPath, [vitest, "run", ...files], {
      cwd: ROOT,
      stdio: "inherit",
      env: { ...process.env, KINGLET_SUPPORT: file },
    });
    if (status !== 0) throw new Error("the tests did not pass: nothing is written");
    return loadRun(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What did not run here, and what only some tests of ran, stays as it is written down. */
function write(run: Run): void {
  const stored = existsSync(STORED) ? loadSupport() : {};
  const { unknown } = compareSupport(stored, run);
  if (unknown.length > 0) console.log(`kept as it was, since tests of it did not run: ${unknown.join(", ")}`);
  const merged: Record<string, Record<string, unknown>> = {};
  for (const name of new Set([...columns(stored), ...columns(run.tally)])) {
    const [suite, way] = name.split("/") as [string, string];
    (merged[suite] ??= {})[way] = column(unknown.includes(name) ? stored : run.tally, name);
  }
  const support = sorted(merged) as Tally;
  writeFileSync(STORED, `${JSON.stringify(support, null, 1)}\n`);
  writeFileSync(SUPPORT_PAGE, supportText(support));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const args = process.argv.slice(2);
  const [flag, file] = args;
  if (flag === "--check" && file !== undefined) check(file);
  else if (flag === "--from" && file !== undefined) write(loadRun(file));
  else write(runTests(args.length > 0 ? args : TESTS));
}
