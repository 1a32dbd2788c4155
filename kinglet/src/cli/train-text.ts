import type { TrainingPlan } from "../project/index.ts";
import { sparkline } from "../report/index.ts";
import type { BatchProgress, EpochReport } from "../train/index.ts";
import { bytes, count } from "./format.ts";
import type { Io } from "./io.ts";

const CURVE = 50;
const BAR = 24;
const CLEAR_LINE = "\r\u001b[K";

export const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** What a person wants to know before waiting. */
function planText({ samples, memoryBytes, threads, done }: TrainingPlan, epochs: number): string {
  const from = done > 0 ? `, going on after epoch ${done}` : "";
  return [
    `training on ${count(samples.train)} samples, ${count(samples.validation)} to validate, ${count(samples.test)} to test`,
    `a step needs ${bytes(memoryBytes)} of memory, on ${threads === 1 ? "one thread" : `${threads} threads`}; ${epochs} epochs${from}`,
  ].join("\n");
}

function epochText({ epoch, loss, accuracy, validation, samples, seconds }: EpochReport, epochs: number): string {
  const width = String(epochs).length;
  const judged = validation === null ? "" : `  validation ${percent(validation).padStart(7)}`;
  return `epoch ${String(epoch + 1).padStart(width)}/${epochs}  loss ${loss.toFixed(4)}  right ${percent(accuracy).padStart(7)}${judged}  ${count(Math.round(samples / Math.max(1e-9, seconds)))} samples/s`;
}

/** Values that lie in at most CURVE letters. */
function curve(values: readonly number[], low: number, high: number): string {
  return sparkline(values, CURVE, low, high);
}

/** Two lines: how loss and validation moved so far. */
function curveText(reports: readonly EpochReport[]): string[] {
  const losses = reports.map(({ loss }) => loss);
  const judged = reports.map(({ validation, accuracy }) => validation ?? accuracy);
  const what = reports.at(-1)?.validation == null ? "right" : "validation";
  return [`  ${"loss".padEnd(10)} ${curve(losses, 0, Math.max(...losses))}`, `  ${what.padEnd(10)} ${curve(judged, 0, 1)}`];
}

/** Tells how a training goes: lines that stay, and on a terminal a progress bar and curves that are drawn anew. */
export class TrainingDisplay {
  private readonly io: Io;
  private readonly epochs: number;
  private readonly reports: EpochReport[] = [];
  private lines = 0;
  private last = 0;

  constructor(io: Io, epochs: number) {
    this.io = io;
    this.epochs = epochs;
  }

  begin(plan: TrainingPlan): void {
    this.reports.push(...plan.reports);
    this.io.err(`${planText(plan, this.epochs)}\n`);
  }

  /** Takes away what was drawn and not meant to stay. */
  clear(): void {
    if (this.lines === 0) return;
    this.io.err(`${CLEAR_LINE}${"\u001b[1A\u001b[K".repeat(this.lines - 1)}`);
    this.lines = 0;
  }

  private draw(lines: readonly string[]): void {
    this.clear();
    this.io.err(lines.join("\n"));
    this.lines = lines.length;
  }

  batch({ epoch, batch, batches }: BatchProgress): void {
    if (this.io.live !== true || performance.now() - this.last < 100) return;
    this.last = performance.now();
    const done = Math.round((BAR * batch) / batches);
    const bar = `  epoch ${epoch + 1}/${this.epochs} ${"█".repeat(done)}${"░".repeat(BAR - done)} ${Math.floor((100 * batch) / batches)} %`;
    this.draw([...(this.reports.length > 1 ? curveText(this.reports) : []), bar]);
  }

  epoch(report: EpochReport): void {
    this.clear();
    this.reports.push(report);
    this.io.err(`${epochText(report, this.epochs)}\n`);
  }

  end(): void {
    this.clear();
    if (this.reports.length > 1) this.io.err(`${curveText(this.reports).join("\n")}\n`);
  }
}
