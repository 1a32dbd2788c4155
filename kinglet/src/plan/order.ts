import type { Program } from "../loops/index.ts";
import { predecessorsOf } from "./deps.ts";
import { blockBytes, bufferKinds, stepUses } from "./usage.ts";

/** Sets of executed steps to look at before the exact search gives way to the greedy one. */
const STATES = 20_000;
/** The same as work: steps of the program, times sets that were made. Long programs would otherwise take minutes and gigabytes. */
const WORK = 5_000_000;

interface Problem {
  readonly steps: number;
  readonly successors: readonly (readonly number[])[];
  /** Buffers by step, without state, which lives always. */
  readonly touched: readonly (readonly number[])[];
  readonly sizes: readonly number[];
  readonly touches: readonly number[];
  readonly fromStart: readonly boolean[];
  readonly toEnd: readonly boolean[];
  readonly startBytes: number;
  /** Predecessors of each step, then touches of each buffer. */
  readonly counts: Int32Array;
}

/** The steps that were executed, the last one first. */
interface Executed {
  readonly step: number;
  readonly before: Executed | null;
}

const DONE = -1;

/** What is executed so far. It changes in place. */
class Progress {
  private readonly problem: Problem;
  /** How many predecessors of each step are still to come; `DONE` for a step that was executed. */
  private readonly waiting: Int32Array;
  /** How many touches each buffer still has to come. */
  private readonly left: Int32Array;
  bytes: number;
  peak: number;
  count = 0;
  private last: Executed | null = null;

  constructor(problem: Problem) {
    this.problem = problem;
    // One memory for both: a search makes thousands of copies.
    const counts = problem.counts.slice();
    this.waiting = counts.subarray(0, problem.steps);
    this.left = counts.subarray(problem.steps);
    this.bytes = problem.startBytes;
    this.peak = this.bytes;
  }

  /** Becomes a copy of another. */
  become(other: Progress): this {
    this.waiting.set(other.waiting);
    this.left.set(other.left);
    [this.bytes, this.peak, this.count, this.last] = [other.bytes, other.peak, other.count, other.last];
    return this;
  }

  /** Bytes live while `step` runs next, and after it. */
  costOf(step: number): { during: number; after: number } {
    const { touched, touches, sizes, fromStart, toEnd } = this.problem;
    let during = this.bytes;
    let freed = 0;
    for (const b of touched[step]!) {
      if (!fromStart[b] && this.left[b] === touches[b]) during += sizes[b]!;
      if (!toEnd[b] && this.left[b] === 1) freed += sizes[b]!;
    }
    return { during, after: during - freed };
  }

  execute(step: number): void {
    const { during, after } = this.costOf(step);
    this.waiting[step] = DONE;
    for (const b of this.problem.touched[step]!) this.left[b]!--;
    for (const next of this.problem.successors[step]!) this.waiting[next]!--;
    this.bytes = after;
    this.peak = Math.max(this.peak, during);
    this.count++;
    this.last = { step, before: this.last };
  }

  ready(): number[] {
    const list: number[] = [];
    this.waiting.forEach((count, step) => {
      if (count === 0) list.push(step);
    });
    return list;
  }

  /** Steps that cost nothing now (they free at least what they take and raise no peak) can only help: run them at once. */
  runFree(): void {
    const isFree = (count: number, step: number): boolean => {
      if (count !== 0) return false;
      const { during, after } = this.costOf(step);
      return during <= this.peak && after <= this.bytes;
    };
    for (let step = this.waiting.findIndex(isFree); step >= 0; step = this.waiting.findIndex(isFree)) this.execute(step);
  }

  order(): number[] {
    const order: number[] = [];
    for (let at = this.last; at !== null; at = at.before) order.push(at.step);
    return order.reverse();
  }

  /** The set of executed steps. */
  key(): string {
    const words = new Uint16Array(Math.ceil(this.waiting.length / 15));
    this.waiting.forEach((count, step) => {
      if (count === DONE) words[Math.floor(step / 15)]! |= 1 << (step % 15);
    });
    return String.fromCharCode(...words);
  }
}

function problemOf(program: Program): Problem {
  const uses = stepUses(program);
  const kinds = bufferKinds(program, uses);
  const predecessors = predecessorsOf(uses);
  const successors: number[][] = uses.map(() => []);
  predecessors.forEach((list, step) => {
    for (const p of list) successors[p]!.push(step);
  });
  const touched = uses.map((use) => [...new Set([...use.reads, ...use.writes])].filter((b) => kinds[b] !== "state"));
  const touches = program.buffers.map(() => 0);
  for (const list of touched) for (const b of list) touches[b]!++;
  const outputs = new Set(program.outputs.map((port) => port.buffer));
  const sizes = program.buffers.map(blockBytes);
  const fromStart = kinds.map((kind) => kind === "input");
  const toEnd = kinds.map((_, b) => outputs.has(b));
  const startBytes = sizes.reduce((sum, size, b) => sum + (fromStart[b] && (touches[b]! > 0 || toEnd[b]) ? size : 0), 0);
  const counts = Int32Array.from([...predecessors.map((list) => list.length), ...touches]);
  return { steps: uses.length, successors, touched, touches, sizes, fromStart, toEnd, startBytes, counts };
}

/** Each time the step that leaves least memory live, after the one that needs least while it runs. */
function greedy(problem: Problem): Progress {
  const at = new Progress(problem);
  while (at.count < problem.steps) {
    const costs = at.ready().map((step) => ({ step, ...at.costOf(step) }));
    const peak = at.peak;
    costs.sort((a, b) => Math.max(peak, a.during) - Math.max(peak, b.during) || a.after - b.after || a.step - b.step);
    at.execute(costs[0]!.step);
  }
  return at;
}

/**
 * Lowest peak first over the sets of executed steps: what is live depends on the set alone, so each set is
 * looked at once. Null where there are too many sets, or nothing beats `limit`.
 */
function searchSets(problem: Problem, limit: number): Progress | null {
  const queue = new Map<number, { readonly at: Progress; readonly key: string }[]>();
  const seen = new Set<string>();
  let work = 0;
  const push = (now: Progress): void => {
    work += problem.steps;
    now.runFree();
    const key = now.key();
    if (now.peak >= limit || seen.has(key)) return;
    const at = new Progress(problem).become(now);
    const list = queue.get(at.peak);
    if (list === undefined) queue.set(at.peak, [{ at, key }]);
    else list.push({ at, key });
  };
  const next = new Progress(problem);
  push(new Progress(problem));
  while (queue.size > 0 && seen.size < STATES && work < WORK) {
    const lowest = Math.min(...queue.keys());
    const list = queue.get(lowest)!;
    const { at, key } = list.pop()!;
    if (list.length === 0) queue.delete(lowest);
    if (seen.has(key)) continue;
    seen.add(key);
    if (at.count === problem.steps) return at;
    for (const step of at.ready().reverse()) {
      next.become(at).execute(step);
      push(next);
    }
  }
  return null;
}

/** Peak of live bytes (without overlaps and state) of the steps in their present order. */
export function peakLiveBytes(program: Program): number {
  const problem = problemOf(program);
  const at = new Progress(problem);
  program.steps.forEach((_, step) => at.execute(step));
  return at.peak;
}

/**
 * Reorders the steps so that fewer bytes live at once where a graph branches. Data dependences are kept, also
 * those through state. Gives the program itself where no order with a lower peak was found.
 */
export function orderSteps(program: Program): Program {
  // The steps of stages stand where their order needs them.
  if ((program.stages ?? []).length > 0) return program;
  const problem = problemOf(program);
  const given = peakLiveBytes(program);
  // No order can go below what one step needs for itself.
  const least = Math.max(0, ...problem.touched.map((list) => list.reduce((sum, b) => sum + problem.sizes[b]!, 0)));
  if (given <= least) return program;
  const easy = greedy(problem);
  const best = searchSets(problem, Math.min(given, easy.peak)) ?? easy;
  if (best.peak >= given) return program;
  return { ...program, steps: best.order().map((step) => program.steps[step]!) };
}
