import { MEMORY_BYTES, type Program, type Run, runsOf, startOf } from "../loops/index.ts";
import type { Lifetime } from "./types.ts";
import { blockBytes, type BufferKind, type StepUse } from "./usage.ts";

/** Runs during which a buffer holds something needed; both ends belong to it. */
export type Span = readonly [from: number, to: number];

/** Bytes [low, high) of a buffer that hold something needed. */
export interface Extent {
  readonly low: number;
  readonly high: number;
}

/**
 * When each buffer's bytes are needed, counted in runs. Outside of stages a run is a step. In a stage, a row between
 * two nodes is needed from each time it is written to its last reader; an image that is read row by row is needed
 * from the row that is read next on; one that is written row by row only as far as it is written.
 */
export interface Presence {
  readonly runs: readonly Run[];
  readonly spans: readonly (readonly Span[])[];
  /** By buffer; absent where all of its bytes are needed all the time. */
  readonly extents: ReadonlyMap<number, readonly Extent[]>;
}

/** Where each step runs: positions in the list of runs. */
function positionsOf(program: Program, runs: readonly Run[]): number[][] {
  const positions: number[][] = program.steps.map(() => []);
  runs.forEach((run, at) => {
    if (run.kind === "step") positions[run.step]!.push(at);
  });
  return positions;
}

/** The stage that all touches of a buffer lie in, if it is one. */
function homeStage(program: Program, lifetime: Lifetime): boolean {
  return (program.stages ?? []).some(({ first, count }) => first <= lifetime.first && lifetime.last < first + count);
}

/** Steps that write a buffer from its first element on without moving: they make all of it anew. */
function renewers(uses: readonly StepUse[], buffer: number, lines: ReadonlySet<number>): Set<number> {
  const steps = new Set<number>();
  if (lines.has(buffer)) return steps;
  uses.forEach((use, step) => {
    if (use.writes.includes(buffer)) steps.add(step);
  });
  return steps;
}

/** Buffers of which some step takes a part: lines, and images that are taken row by row. */
function partial(program: Program): Set<number> {
  return new Set(
    program.steps.flatMap((step) =>
      step.args.flatMap((arg) => (arg.kind === "buffer" && (arg.start !== undefined || arg.advance !== undefined) ? [arg.index] : [])),
    ),
  );
}

/** The spans of a buffer that lives in one stage: each begins where it is written anew. */
function rowSpans(uses: readonly StepUse[], runs: readonly Run[], buffer: number, renew: ReadonlySet<number>): Span[] {
  const spans: [number, number][] = [];
  runs.forEach((run, at) => {
    if (run.kind !== "step") return;
    const use = uses[run.step]!;
    if (!use.reads.includes(buffer) && !use.writes.includes(buffer)) return;
    const last = spans[spans.length - 1];
    if (last === undefined || renew.has(run.step)) spans.push([at, at]);
    else last[1] = at;
  });
  return spans;
}

/** For an image that is read row by row: from which byte on it is still needed at every run. */
function readExtents(program: Program, runs: readonly Run[], buffer: number, size: number): Extent[] {
  const element = MEMORY_BYTES[program.buffers[buffer]!.type];
  const extents = new Array<Extent>(runs.length);
  let low = size;
  for (let at = runs.length - 1; at >= 0; at--) {
    const run = runs[at]!;
    const step = run.kind === "step" ? program.steps[run.step] : undefined;
    for (const arg of step?.args ?? []) {
      if (arg.kind === "buffer" && arg.index === buffer && run.kind === "step")
        low = Math.min(low, Math.floor((startOf(arg, run.turn) * element) / 4) * 4);
    }
    extents[at] = { low, high: size };
  }
  return extents;
}

/** For an image that is written row by row: how far it is written at every run. */
function writtenExtents(program: Program, runs: readonly Run[], buffer: number, size: number): Extent[] {
  const element = MEMORY_BYTES[program.buffers[buffer]!.type];
  let high = 0;
  return runs.map((run) => {
    const step = run.kind === "step" ? program.steps[run.step] : undefined;
    for (const arg of step?.args ?? []) {
      if (arg.kind !== "buffer" || arg.index !== buffer || run.kind !== "step") continue;
      const end = arg.advance === undefined ? size : (startOf(arg, run.turn) + arg.advance) * element;
      high = Math.max(high, Math.min(size, Math.ceil(end / 4) * 4));
    }
    return { low: 0, high };
  });
}

function extentsOf(
  program: Program,
  uses: readonly StepUse[],
  runs: readonly Run[],
  kinds: readonly BufferKind[],
  lines: ReadonlySet<number>,
): Map<number, Extent[]> {
  const extents = new Map<number, Extent[]>();
  const inStage = (step: number): boolean => (program.stages ?? []).some(({ first, count }) => first <= step && step < first + count);
  for (const buffer of lines) {
    if (kinds[buffer] === "state" || program.inputs.some((port) => port.rows !== undefined && port.buffer === buffer)) continue;
    const size = blockBytes(program.buffers[buffer]!);
    const readers = uses.flatMap((use, step) => (use.reads.includes(buffer) ? [step] : []));
    const writers = uses.flatMap((use, step) => (use.writes.includes(buffer) ? [step] : []));
    const lastWrite = Math.max(-1, ...writers);
    if (kinds[buffer] !== "output" && readers.length > 0 && readers.every((step) => step > lastWrite) && readers.some(inStage))
      extents.set(buffer, readExtents(program, runs, buffer, size));
    else if (
      writers.length > 0 &&
      writers.every(inStage) &&
      readers.every((step) => step > lastWrite) &&
      writers.every((step) => moves(program, step, buffer))
    )
      extents.set(buffer, writtenExtents(program, runs, buffer, size));
  }
  return extents;
}

function moves(program: Program, step: number, buffer: number): boolean {
  return program.steps[step]!.args.some((arg) => arg.kind === "buffer" && arg.index === buffer && arg.advance !== undefined);
}

export function presenceOf(program: Program, uses: readonly StepUse[], kinds: readonly BufferKind[], lifetimes: readonly Lifetime[]): Presence {
  const runs = runsOf(program);
  const positions = positionsOf(program, runs);
  const parts = partial(program);
  const end = Math.max(0, runs.length - 1);
  const spans = lifetimes.map((lifetime): readonly Span[] => {
    const { buffer } = lifetime;
    const kind = kinds[buffer]!;
    if ((kind === "value" || kind === "scratch") && homeStage(program, lifetime)) return rowSpans(uses, runs, buffer, renewers(uses, buffer, parts));
    const touched = program.steps.flatMap((_, step) =>
      uses[step]!.reads.includes(buffer) || uses[step]!.writes.includes(buffer) ? positions[step]! : [],
    );
    const from = kind === "input" || kind === "state" ? 0 : Math.min(...touched);
    const outlives = kind === "state" || program.outputs.some((port) => port.buffer === buffer);
    return [[Math.min(from, end), outlives ? end : Math.max(0, ...touched)]];
  });
  return { runs, spans, extents: extentsOf(program, uses, runs, kinds, parts) };
}

/** Whether two buffers are ever needed at the same time. */
export function meet(a: readonly Span[], b: readonly Span[]): boolean {
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const [x, y] = [a[i]!, b[j]!];
    if (x[0] <= y[1] && y[0] <= x[1]) return true;
    if (x[1] < y[1]) i++;
    else j++;
  }
  return false;
}

/** Runs at which both buffers are needed. */
function* together(a: readonly Span[], b: readonly Span[]): Generator<number> {
  for (const [from, to] of a) for (const [first, last] of b) for (let at = Math.max(from, first); at <= Math.min(to, last); at++) yield at;
}

/** The distances offset(a) − offset(b) that would put needed bytes of both into one place: an open interval. */
export function forbidden(presence: Presence, a: number, b: number, sizes: readonly number[]): { low: number; high: number } | null {
  const [spansA, spansB] = [presence.spans[a]!, presence.spans[b]!];
  const [extentsA, extentsB] = [presence.extents.get(a), presence.extents.get(b)];
  if (extentsA === undefined && extentsB === undefined) return meet(spansA, spansB) ? { low: -sizes[a]!, high: sizes[b]! } : null;
  let [low, high] = [Infinity, -Infinity];
  for (const at of together(spansA, spansB)) {
    const x = extentsA?.[at] ?? { low: 0, high: sizes[a]! };
    const y = extentsB?.[at] ?? { low: 0, high: sizes[b]! };
    if (x.low >= x.high || y.low >= y.high) continue;
    low = Math.min(low, y.low - x.high);
    high = Math.max(high, y.high - x.low);
  }
  return low < high ? { low, high } : null;
}
