import { performance } from "node:perf_hooks";

/** Something to time: one inference, or one round of a kernel. */
export interface Contestant {
  readonly name: string;
  readonly run: () => unknown;
}

/** Milliseconds of one run. Processor time counts every thread of the process. */
export interface Timing {
  readonly cpuP10Ms: number;
  readonly cpuMedianMs: number;
  readonly wallP10Ms: number;
  readonly wallMedianMs: number;
}

export interface InterleaveOptions {
  /** Time for each contestant before anything counts, so that compilers have settled. */
  readonly warmUpMs?: number;
  /** One slice holds as many runs as fit into this, at least one. */
  readonly sliceMs?: number;
  /** Rounds stop after this much time for all contestants together, but not before `leastRounds`. */
  readonly budgetMs?: number;
  readonly leastRounds?: number;
  readonly mostRounds?: number;
}

/** The q-quantile of numbers, 0 ≤ q ≤ 1, interpolated. */
export function quantile(numbers: readonly number[], q: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = Math.floor(at);
  return sorted[low]! + (sorted[Math.min(low + 1, sorted.length - 1)]! - sorted[low]!) * (at - low);
}

interface Slice {
  readonly cpuMs: number;
  readonly wallMs: number;
}

/** Average of some runs in a row. A promise is waited for, as a caller would; a plain result costs no detour. */
async function slice(run: () => unknown, repeats: number): Promise<Slice> {
  const [cpu, wall] = [process.cpuUsage(), performance.now()];
  for (let i = 0; i < repeats; i++) {
    const result = run();
    if (result instanceof Promise) await result;
  }
  const { user, system } = process.cpuUsage(cpu);
  return { cpuMs: (user + system) / 1000 / repeats, wallMs: (performance.now() - wall) / repeats };
}

async function warmUp({ run }: Contestant, ms: number): Promise<number> {
  const end = performance.now() + ms;
  let last = await slice(run, 1);
  do last = await slice(run, 3);
  while (performance.now() < end);
  return last.wallMs;
}

/**
 * Times contestants round-robin in one process, in short slices, so that whatever else the machine does meets all of
 * them alike. The low percentile is what an otherwise idle core gives.
 */
export async function interleave(contestants: readonly Contestant[], options: InterleaveOptions = {}): Promise<Map<string, Timing>> {
  const { warmUpMs = 500, sliceMs = 3, budgetMs = 6000, leastRounds = 12, mostRounds = 60 } = options;
  const repeats: number[] = [];
  for (const contestant of contestants) repeats.push(Math.max(1, Math.floor(sliceMs / (await warmUp(contestant, warmUpMs)))));
  const slices: Slice[][] = contestants.map(() => []);
  const start = performance.now();
  for (let round = 0; round < mostRounds && (round < leastRounds || performance.now() - start < budgetMs); round++)
    for (const [i, { run }] of contestants.entries()) slices[i]!.push(await slice(run, repeats[i]!));
  const timing = (taken: readonly Slice[]): Timing => {
    const [cpu, wall] = [taken.map(({ cpuMs }) => cpuMs), taken.map(({ wallMs }) => wallMs)];
    return { cpuP10Ms: quantile(cpu, 0.1), cpuMedianMs: quantile(cpu, 0.5), wallP10Ms: quantile(wall, 0.1), wallMedianMs: quantile(wall, 0.5) };
  };
  return new Map(contestants.map(({ name }, i) => [name, timing(slices[i]!)]));
}
