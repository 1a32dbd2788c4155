import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { EngineName } from "./engines.mjs";
import { quantile } from "./interleave.ts";

const SCRIPT = fileURLToPath(new URL("./start.mjs", import.meta.url));
const runFile = promisify(execFile);

/** From the engine's and the model's bytes on disk to the first result, in a fresh process without anything compiled. */
export interface Start {
  readonly cpuMs: number;
  readonly wallMs: number;
  readonly residentBytes: number;
}

export interface StartJob {
  readonly engine: EngineName;
  readonly peers: string;
  readonly model: string;
  readonly inputType: string;
  readonly inputFile: string;
}

async function startOnce({ engine, peers, model, inputType, inputFile }: StartJob): Promise<Start> {
  const { stdout } = await runFile(process.execPath, [SCRIPT, engine, peers, model, inputType, inputFile]);
  return JSON.parse(stdout.trim().split("\n").at(-1)!) as Start;
}

/** Medians of some fresh processes of each job, taken in turns. */
export async function measureStarts(jobs: readonly StartJob[], times: number): Promise<Start[]> {
  const taken: Start[][] = jobs.map(() => []);
  for (let i = 0; i < times; i++) for (const [j, job] of jobs.entries()) taken[j]!.push(await startOnce(job));
  const median = (starts: readonly Start[], key: keyof Start): number =>
    quantile(
      starts.map((start) => start[key]),
      0.5,
    );
  return taken.map((starts) => ({
    cpuMs: median(starts, "cpuMs"),
    wallMs: median(starts, "wallMs"),
    residentBytes: median(starts, "residentBytes"),
  }));
}
