import { MEMORY_BYTES, type Program, type Run, runsOf, startOf } from "../loops/index.ts";
import type { Distance, Lifetime } from "./types.ts";
import { blockBytes, type BufferKind, type StepUse } from "./usage.ts";

/** Runs during which a buffer holds something needed; both ends belong to it. */
export type Span = readonly [from: number, to: number];

/** Bytes [low, high) of a buffer that hold something needed at a run; from `after` on they are needed by later runs. */
export interface Extent {
  readonly low: number;
  readonly high: number;
  readonly after: number;
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
function renewers(uses: readonly StepUse[], buffer: number, scratch: boolean, lines: ReadonlySet<number>): Set<number> {
  const steps = new Set<number>();
  if (lines.has(buffer)) return steps;
  uses.forEach((use, step) => {
    // Working memory holds nothing from one run to the next.
    if (use.writes.includes(buffer) && (scratch || !use.updates.includes(buffer))) steps.add(step);
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

/** Where a run starts to read and to write a buffer, in bytes; Infinity where it does not. */
function startsIn(program: Program, uses: readonly StepUse[], run: Run, buffer: number): { read: number; write: number; renews: boolean } {
  const starts = { read: Infinity, write: Infinity, renews: false };
  if (run.kind !== "step") return starts;
  const step = program.steps[run.step]!;
  const params = program.functions.find((each) => each.name === step.func)!.params;
  const updates = uses[run.step]!.updates.includes(buffer);
  const element = MEMORY_BYTES[program.buffers[buffer]!.type];
  step.args.forEach((arg, i) => {
    if (arg.kind !== "buffer" || arg.index !== buffer) return;
    const param = params[i]!;
    const start = startOf(arg, run.turn) * element;
    const writes = param.kind === "buffer" && param.writes;
    if (writes) starts.write = Math.min(starts.write, start);
    if (!writes || updates) starts.read = Math.min(starts.read, start);
    starts.renews ||= writes && !updates && start === 0 && arg.advance === undefined;
  });
  return starts;
}

/** From which byte on a run needs a buffer, if later runs need it from `after` on. */
function neededBefore(after: number, read: number, write: number, renews: boolean): number {
  const moves = read < Infinity && write < read;
  if (moves && after >= write) return read + after - write;
  return renews ? read : Math.min(after, read);
}

function wordBelow(byte: number): number {
  return Math.floor(byte / 4) * 4;
}

/** For an image that is read row by row, or a line: from which byte on it is needed at every run. */
function readExtents(program: Program, uses: readonly StepUse[], runs: readonly Run[], buffer: number, size: number): Extent[] {
  const extents = new Array<Extent>(runs.length);
  let after = size;
  for (let at = runs.length - 1; at >= 0; at--) {
    const { read, write, renews } = startsIn(program, uses, runs[at]!, buffer);
    extents[at] = { low: wordBelow(Math.min(read, write, after)), high: size, after: wordBelow(after) };
    after = Math.min(size, neededBefore(after, read, write, renews));
  }
  return extents;
}

/** A line fills row by row, and shrinks where the rows still needed move up: up to which byte it is needed at every run. */
function lineExtents(program: Program, uses: readonly StepUse[], runs: readonly Run[], buffer: number, size: number): Extent[] {
  const row = rowBytes(program, buffer);
  let high = 0;
  return readExtents(program, uses, runs, buffer, size).map((extent, at) => {
    const { read, write } = startsIn(program, uses, runs[at]!, buffer);
    const before = high;
    if (write < Infinity) high = read < Infinity ? write + Math.max(0, high - read) : Math.max(high, write + row);
    return { ...extent, high: Math.min(size, Math.ceil(Math.max(before, high) / 4) * 4) };
  });
}

/** For an image that is written row by row: how far it is written at every run. */
function writtenExtents(program: Program, uses: readonly StepUse[], runs: readonly Run[], buffer: number, size: number): Extent[] {
  let high = 0;
  return runs.map((run) => {
    const { write } = startsIn(program, uses, run, buffer);
    if (write < Infinity) high = Math.max(high, Math.min(size, Math.ceil((write + rowBytes(program, buffer)) / 4) * 4));
    return { low: 0, high, after: 0 };
  });
}

/** Bytes of one row of an image or a line. */
function rowBytes(program: Program, buffer: number): number {
  const { shape, type, length } = program.buffers[buffer]!;
  return (length / Math.max(1, shape?.[1] ?? 1)) * MEMORY_BYTES[type];
}

function extentsOf(
  program: Program,
  uses: readonly StepUse[],
  runs: readonly Run[],
  kinds: readonly BufferKind[],
  lifetimes: readonly Lifetime[],
  parts: ReadonlySet<number>,
): Map<number, Extent[]> {
  const extents = new Map<number, Extent[]>();
  const inStage = (step: number): boolean => (program.stages ?? []).some(({ first, count }) => first <= step && step < first + count);
  for (const buffer of parts) {
    if (kinds[buffer] === "state" || program.inputs.some((port) => port.rows !== undefined && port.buffer === buffer)) continue;
    const size = blockBytes(program.buffers[buffer]!);
    const readers = uses.flatMap((use, step) => (use.reads.includes(buffer) ? [step] : []));
    const writers = uses.flatMap((use, step) => (use.writes.includes(buffer) ? [step] : []));
    const lastWrite = Math.max(-1, ...writers);
    if (kinds[buffer] === "value" && homeStage(program, lifetimes[buffer]!)) {
      extents.set(buffer, lineExtents(program, uses, runs, buffer, size));
      continue;
    }
    if (readers.some((step) => step <= lastWrite)) continue;
    const written = writers.length > 0 && writers.every((step) => inStage(step) && byRows(program, step, buffer));
    const growing = written ? writtenExtents(program, uses, runs, buffer, size) : undefined;
    // What one stage writes and another reads grows row by row, and then shrinks.
    const shrinking = kinds[buffer] !== "output" && readers.some(inStage) ? readExtents(program, uses, runs, buffer, size) : undefined;
    const both = shrinking?.map((extent, at) => ({ ...extent, high: growing?.[at]?.high ?? size })) ?? growing;
    if (both !== undefined) extents.set(buffer, both);
  }
  return extents;
}

function byRows(program: Program, step: number, buffer: number): boolean {
  return program.steps[step]!.args.every((arg) => arg.kind !== "buffer" || arg.index !== buffer || arg.start !== undefined);
}

export function presenceOf(program: Program, uses: readonly StepUse[], kinds: readonly BufferKind[], lifetimes: readonly Lifetime[]): Presence {
  const runs = runsOf(program);
  const positions = positionsOf(program, runs);
  const parts = partial(program);
  const end = Math.max(0, runs.length - 1);
  const spans = lifetimes.map((lifetime): readonly Span[] => {
    const { buffer } = lifetime;
    const kind = kinds[buffer]!;
    if ((kind === "value" || kind === "scratch") && homeStage(program, lifetime))
      return rowSpans(uses, runs, buffer, renewers(uses, buffer, kind === "scratch", parts));
    const rows = program.inputs.some((port) => port.buffer === buffer && port.rows !== undefined);
    const awaits = rows ? runs.flatMap((run, at) => (run.kind === "await" ? [at] : [])) : [];
    const touched = [
      ...awaits,
      ...program.steps.flatMap((_, step) => (uses[step]!.reads.includes(buffer) || uses[step]!.writes.includes(buffer) ? positions[step]! : [])),
    ];
    const from = kind === "input" || kind === "state" ? 0 : Math.min(...touched);
    const outlives = kind === "state" || program.outputs.some((port) => port.buffer === buffer);
    return [[Math.min(from, end), outlives ? end : Math.max(0, ...touched)]];
  });
  return { runs, spans, extents: extentsOf(program, uses, runs, kinds, lifetimes, parts) };
}

/** Whether two buffers are ever needed at the same time. */
function meet(a: readonly Span[], b: readonly Span[]): boolean {
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

/** Distances offset(output) − offset(input) at which a step in a stage may write a row over what it reads. */
export interface RowPair extends Distance {
  readonly step: number;
  readonly input: number;
  readonly output: number;
}

/** The open interval of distances offset(a) − offset(b) that two buffers may not have while a run lasts. */
function forbiddenAt(presence: Presence, pairs: readonly RowPair[], at: number, a: number, b: number, sizes: readonly number[]): Distance {
  const x = presence.extents.get(a)?.[at] ?? { low: 0, high: sizes[a]!, after: 0 };
  const y = presence.extents.get(b)?.[at] ?? { low: 0, high: sizes[b]!, after: 0 };
  if (x.low >= x.high || y.low >= y.high) return { below: Infinity, above: -Infinity };
  const run = presence.runs[at]!;
  const pair = run.kind === "step" ? pairs.find((each) => each.step === run.step && each.output === a && each.input === b) : undefined;
  if (pair === undefined) return { below: y.low - x.high, above: y.high - x.low };
  // What of the input later runs need must stay; what only this run reads may be written over as its loops allow.
  const lives = presence.spans[b]!.some(([from, to]) => from <= at && at < to) && y.after < y.high;
  const read = pair.below < pair.above ? pair : { below: Infinity, above: -Infinity };
  if (!lives) return read;
  return { below: Math.min(read.below, y.after - x.high), above: Math.max(read.above, y.high - x.low) };
}

/** The distances offset(a) − offset(b) that would put needed bytes of both into one place: an open interval. */
export function forbidden(
  presence: Presence,
  rowPairs: readonly RowPair[],
  a: number,
  b: number,
  sizes: readonly number[],
): { low: number; high: number } | null {
  const asOutput = rowPairs.filter((pair) => pair.output === a && pair.input === b);
  const asInput = rowPairs.filter((pair) => pair.output === b && pair.input === a);
  const [spansA, spansB] = [presence.spans[a]!, presence.spans[b]!];
  const plain = !presence.extents.has(a) && !presence.extents.has(b) && asOutput.length + asInput.length === 0;
  if (plain) return meet(spansA, spansB) ? { low: -sizes[a]!, high: sizes[b]! } : null;
  let [low, high] = [Infinity, -Infinity];
  for (const at of together(spansA, spansB)) {
    const turned = asInput.length > 0 ? forbiddenAt(presence, asInput, at, b, a, sizes) : null;
    const { below, above } = turned === null ? forbiddenAt(presence, asOutput, at, a, b, sizes) : { below: -turned.above, above: -turned.below };
    low = Math.min(low, below);
    high = Math.max(high, above);
  }
  return low < high ? { low, high } : null;
}
