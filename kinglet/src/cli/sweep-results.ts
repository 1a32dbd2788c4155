import { readFile } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import { KingletError } from "../base/index.ts";
import type { RoundReport } from "../federated/index.ts";
import { formatTable } from "../report/index.ts";
import { type LearningOptions, SWEPT, type Swept } from "./federate-learning.ts";
import { writeFiles } from "./files.ts";
import { count } from "./format.ts";
import { percent } from "./train-text.ts";

/** One choice of each of the options that are swept. */
export type Choice = Required<Pick<LearningOptions, Swept>>;

/** What a choice gave. */
export interface SweepResult extends Choice {
  readonly rounds: number;
  /** Highest accuracy of a round, and that of the last one. */
  readonly best: number;
  readonly last: number;
  /** The round in which `--until` was reached; null where it was not, or was not asked for. */
  readonly reached: number | null;
  /** What all clients sent. */
  readonly bytes: number;
  readonly epsilon?: number;
  /** Why it came to no end. */
  readonly failed?: string;
}

/** A sweep's file: results, and all that they rest on beside their choice. */
export interface SweepFile {
  readonly settings: unknown;
  readonly results: readonly SweepResult[];
}

export function choiceText(choice: Choice): string {
  return SWEPT.map((name) => `${name} ${choice[name]}`).join(", ");
}

export function resultOf(choice: Choice, reports: readonly RoundReport[], until: number | undefined): SweepResult {
  const { round, best, accuracy, epsilon } = reports.at(-1)!;
  return {
    ...choice,
    rounds: round,
    best,
    last: accuracy,
    reached: until !== undefined && best >= until ? round : null,
    bytes: reports.reduce((sum, report) => sum + report.bytes, 0),
    ...(epsilon === undefined ? {} : { epsilon }),
  };
}

export function failedResult(choice: Choice, failed: string): SweepResult {
  return { ...choice, rounds: 0, best: 0, last: 0, reached: null, bytes: 0, failed };
}

/** What was done before under the same settings. @throws KingletError `misuse` where the file is of others. */
export async function readResults(path: string, settings: unknown): Promise<readonly SweepResult[]> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  const other = (what: string): KingletError =>
    new KingletError("misuse", what, { place: path, hint: "Remove it, or name another file with --out." });
  let file: SweepFile;
  try {
    file = JSON.parse(text) as SweepFile;
  } catch {
    throw other("this is no file of a sweep");
  }
  // Whatever the order of the words.
  if (!isDeepStrictEqual(file.settings, settings)) throw other("this holds results of other settings, samples or another version of Kinglet");
  return file.results;
}

const CSV_COLUMNS = [...SWEPT, "rounds", "best", "last", "reached", "bytes", "epsilon", "failed"] as const;

function csvText(results: readonly SweepResult[]): string {
  const cell = (value: string | number | null | undefined): string =>
    typeof value === "string" && /[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : String(value ?? "");
  const rows = results.map((result) => CSV_COLUMNS.map((column) => cell(result[column])).join(","));
  return `${[CSV_COLUMNS.join(","), ...rows].join("\n")}\n`;
}

/** Where the same lies as a table for other programs. */
export function csvPath(path: string): string {
  return `${path.replace(/\.json$/, "")}.csv`;
}

export async function writeResults(path: string, file: SweepFile): Promise<void> {
  await writeFiles(
    new Map([
      [path, `${JSON.stringify(file, null, 1)}\n`],
      [csvPath(path), csvText(file.results)],
    ]),
  );
}

/** The best first. */
export function resultsTable(results: readonly SweepResult[], until: number | undefined): string {
  const right = (title: string) => ({ title, align: "right" as const });
  const goal = until === undefined ? [] : [right(`To ${percent(until)}`)];
  const failures = results.some(({ failed }) => failed !== undefined) ? [{ title: "" }] : [];
  const columns = [{ title: "Strategy" }, ...["Epochs", "Batch", "Rate", "Seed", "Best", "Rounds"].map(right), ...goal, right("Bytes"), ...failures];
  const rows = [...results]
    .sort((a, b) => b.best - a.best)
    .map(({ strategy, epochs, batch, rate, seed, best, rounds, reached, bytes, failed }) => {
      const choice = [strategy, count(epochs), count(batch), String(rate), String(seed)];
      const figures = [percent(best), count(rounds), ...goal.map(() => (reached === null ? "–" : count(reached))), count(bytes)];
      return [...choice, ...(failed === undefined ? figures : figures.map(() => "–")), ...failures.map(() => failed ?? "")];
    });
  return formatTable(columns, rows);
}
