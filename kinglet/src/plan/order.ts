import type { Program } from "../loops/index.ts";
import { predecessorsOf } from "./deps.ts";
import { blockBytes, bufferKinds, stepUses } from "./usage.ts";

/** Sets of executed steps to look at before the exact search gives way to the greedy one. */
const STATES = 20_000;

interface Problem {
  readonly steps: number;
  readonly predecessors: readonly (readonly number[])[];
  readonly successors: readonly (readonly number[])[];
  /** Buffers by step, without state, which lives always. */
  readonly touched: readonly (readonly number[])[];
  readonly sizes: readonly number[];
  readonly touches: readonly number[];
  readonly fromStart: readonly boolean[];
  readonly toEnd: readonly boolean[];
}

/** What is executed so far, and how many touches each buffer still has to come. */
interface Progress {
  readonly done: Uint8Array;
  readonly left: Int32Array;
  readonly bytes: number;
  readonly peak: number;
  readonly order: readonly number[];
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
  return {
    steps: uses.length,
    predecessors,
    successors,
    touched,
    touches,
    sizes: program.buffers.map(blockBytes),
    fromStart: kinds.map((kind) => kind === "input"),
    toEnd: kinds.map((_, b) => outputs.has(b)),
  };
}

function start(problem: Problem): Progress {
  const bytes = problem.sizes.reduce((sum, size, b) => sum + (problem.fromStart[b] && (problem.touches[b]! > 0 || problem.toEnd[b]) ? size : 0), 0);
  return { done: new Uint8Array(problem.steps), left: Int32Array.from(problem.touches), bytes, peak: bytes, order: [] };
}

/** Bytes live while `step` runs next, and after it. */
function costOf(problem: Problem, at: Progress, step: number): { during: number; after: number } {
  let during = at.bytes;
  let freed = 0;
  for (const b of problem.touched[step]!) {
    if (!problem.fromStart[b] && at.left[b] === problem.touches[b]) during += problem.sizes[b]!;
    if (!problem.toEnd[b] && at.left[b] === 1) freed += problem.sizes[b]!;
  }
  return { during, after: during - freed };
}

function execute(problem: Problem, at: Progress, step: number): Progress {
  const { during, after } = costOf(problem, at, step);
  const done = at.done.slice();
  const left = at.left.slice();
  done[step] = 1;
  for (const b of problem.touched[step]!) left[b]!--;
  return { done, left, bytes: after, peak: Math.max(at.peak, during), order: [...at.order, step] };
}

function ready(problem: Problem, at: Progress): number[] {
  const list: number[] = [];
  for (let step = 0; step < problem.steps; step++) {
    if (at.done[step] === 0 && problem.predecessors[step]!.every((p) => at.done[p] === 1)) list.push(step);
  }
  return list;
}

/** Steps that cost nothing now (they free at least what they take and raise no peak) can only help: run them at once. */
function runFree(problem: Problem, at: Progress): Progress {
  for (let now = at; ; ) {
    const free = ready(problem, now).find((step) => {
      const { during, after } = costOf(problem, now, step);
      return during <= now.peak && after <= now.bytes;
    });
    if (free === undefined) return now;
    now = execute(problem, now, free);
  }
}

/** Each time the step that leaves least memory live, after the one that needs least while it runs. */
function greedy(problem: Problem): Progress {
  let at = start(problem);
  while (at.order.length < problem.steps) {
    const costs = ready(problem, at).map((step) => ({ step, ...costOf(problem, at, step) }));
    const peak = at.peak;
    costs.sort((a, b) => Math.max(peak, a.during) - Math.max(peak, b.during) || a.after - b.after || a.step - b.step);
    at = execute(problem, at, costs[0]!.step);
  }
  return at;
}

/**
 * Lowest peak first over the sets of executed steps: what is live depends on the set alone, so each set is
 * looked at once. Null where there are too many sets, or nothing beats `limit`.
 */
function searchSets(problem: Problem, limit: number): Progress | null {
  const queue = new Map<number, Progress[]>();
  const seen = new Set<string>();
  const push = (raw: Progress): void => {
    const at = runFree(problem, raw);
    const key = String.fromCharCode(...packed(at.done));
    if (at.peak >= limit || seen.has(key)) return;
    const list = queue.get(at.peak);
    if (list === undefined) queue.set(at.peak, [at]);
    else list.push(at);
  };
  push(start(problem));
  while (queue.size > 0 && seen.size < STATES) {
    const lowest = Math.min(...queue.keys());
    const list = queue.get(lowest)!;
    const at = list.pop()!;
    if (list.length === 0) queue.delete(lowest);
    const key = String.fromCharCode(...packed(at.done));
    if (seen.has(key)) continue;
    seen.add(key);
    if (at.order.length === problem.steps) return at;
    for (const step of ready(problem, at).reverse()) push(execute(problem, at, step));
  }
  return null;
}

function packed(done: Uint8Array): number[] {
  const words = new Array<number>(Math.ceil(done.length / 15)).fill(0);
  done.forEach((bit, i) => {
    words[Math.floor(i / 15)]! |= bit << (i % 15);
  });
  return words;
}

/** Peak of live bytes (without overlaps and state) of the steps in their present order. */
export function peakLiveBytes(program: Program): number {
  const problem = problemOf(program);
  return program.steps.reduce((at, _, step) => execute(problem, at, step), start(problem)).peak;
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
  return { ...program, steps: best.order.map((step) => program.steps[step]!) };
}
