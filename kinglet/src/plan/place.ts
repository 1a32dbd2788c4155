import type { Program } from "../loops/index.ts";
import { lowerBound } from "./bound.ts";
import { safeDistances } from "./distance.ts";
import { alignUp, type Conflict, type Layout } from "./layout.ts";
import { lifetimesOf } from "./lifetimes.ts";
import { forbidden, type Presence, presenceOf, type RowPair } from "./presence.ts";
import { type Solution, solve } from "./solve.ts";
import type { Distance, Lifetime, Overlap, Plan, PlanOptions } from "./types.ts";
import { alignmentOf, blockBytes, type BufferKind, bufferKinds, type StepUse, stepUses } from "./usage.ts";

/** An input that dies at a step and an output that is born there, with the distances that are safe. */
export interface Pair extends Distance {
  readonly step: number;
  readonly input: number;
  readonly output: number;
}

/** The pairs of a step that may share memory, before any loop has been looked at. */
function candidates(
  uses: readonly StepUse[],
  lifetimes: readonly Lifetime[],
  kinds: readonly BufferKind[],
  outputs: ReadonlySet<number>,
  step: number,
): { inputs: number[]; outputs: number[] } {
  const { reads, writes } = uses[step]!;
  const dying = reads.filter((b) => lifetimes[b]!.last === step && kinds[b] !== "state" && !outputs.has(b) && !writes.includes(b));
  const born = writes.filter((b) => lifetimes[b]!.first === step && (kinds[b] === "value" || kinds[b] === "output"));
  return { inputs: dying, outputs: born };
}

function findPairs(program: Program, uses: readonly StepUse[], lifetimes: readonly Lifetime[], kinds: readonly BufferKind[]): Pair[] {
  const inStage = (step: number): boolean => (program.stages ?? []).some(({ first, count }) => first <= step && step < first + count);
  const outputs = new Set(program.outputs.map((port) => port.buffer));
  return program.steps.flatMap((step, at) => {
    if (inStage(at)) return [];
    const some = candidates(uses, lifetimes, kinds, outputs, at);
    if (some.inputs.length === 0 || some.outputs.length === 0) return [];
    return safeDistances(program, step, some.inputs, some.outputs).map((d) => ({ ...d, step: at }));
  });
}

/** Rows that a step in a stage makes, with the lines, images and rows it makes them from. */
function findRowPairs(program: Program, uses: readonly StepUse[], presence: Presence, kinds: readonly BufferKind[]): RowPair[] {
  return (program.stages ?? []).flatMap(({ first, count }) =>
    Array.from({ length: count }, (_, i) => first + i).flatMap((at) => {
      const step = program.steps[at]!;
      const { reads, writes } = uses[at]!;
      const starts = new Map(step.args.flatMap((arg) => (arg.kind === "buffer" ? [[arg.index, arg]] : [])));
      const still = (b: number): boolean => starts.get(b)!.advance === undefined;
      const inputs = reads.filter((b) => kinds[b] === "value" && !writes.includes(b) && still(b));
      const born = (b: number): boolean =>
        presence.runs.every((run, p) => run.kind !== "step" || run.step !== at || presence.spans[b]!.some(([from]) => from === p));
      const outputs = writes.filter((b) => kinds[b] === "value" && !reads.includes(b) && still(b) && !presence.extents.has(b) && born(b));
      if (inputs.length === 0 || outputs.length === 0) return [];
      const startBytes = (b: number): number => (starts.get(b)!.start ?? 0) * (blockBytes({ ...program.buffers[b]!, length: 4 }) / 4);
      return safeDistances(program, step, inputs, outputs).map((d): RowPair => {
        const shift = startBytes(d.input) - startBytes(d.output);
        return { ...d, step: at, below: Math.floor((d.below + shift) / 4) * 4, above: Math.ceil((d.above + shift) / 4) * 4 };
      });
    }),
  );
}

/** Which blocks may not lie where, from when they are needed and the pairs that may overlap. */
function layoutOf(
  program: Program,
  presence: Presence,
  rowPairs: readonly RowPair[],
  kinds: readonly BufferKind[],
  pairs: readonly Pair[],
  pinned: boolean,
): Layout {
  const sizes = program.buffers.map(blockBytes);
  const conflicts: Conflict[][] = sizes.map(() => []);
  const known = new Map(pairs.map((p) => [p.output * sizes.length + p.input, p]));
  const apart = (i: number, j: number): boolean => pinned || kinds[i] === "state" || kinds[j] === "state";
  for (let i = 0; i < sizes.length; i++) {
    for (let j = 0; j < sizes.length; j++) {
      if (i === j) continue;
      const whole = apart(i, j) ? { low: -sizes[i]!, high: sizes[j]! } : forbidden(presence, rowPairs, i, j, sizes);
      if (whole === null) continue;
      const asOutput = known.get(i * sizes.length + j);
      const asInput = known.get(j * sizes.length + i);
      const low = asOutput?.below ?? (asInput ? -asInput.above : whole.low);
      const high = asOutput?.above ?? (asInput ? -asInput.below : whole.high);
      const ends = (asOutput ?? asInput)?.inPlace === true ? [low, 0, high] : [low, high];
      for (let e = 1; e < ends.length; e++) if (ends[e - 1]! < ends[e]!) conflicts[i]!.push({ other: j, low: ends[e - 1]!, high: ends[e]! });
    }
  }
  return { sizes, alignments: program.buffers.map(alignmentOf), conflicts };
}

/** Every buffer on bytes of its own. */
function sideBySide(layout: Layout): number[] {
  let at = 0;
  return layout.sizes.map((size, i) => {
    const offset = alignUp(at, layout.alignments[i]!);
    at = offset + size;
    return offset;
  });
}

function sharedBytes(layout: Layout, offsets: ArrayLike<number>, a: number, b: number): number {
  const end = Math.min(offsets[a]! + layout.sizes[a]!, offsets[b]! + layout.sizes[b]!);
  return Math.max(0, end - Math.max(offsets[a]!, offsets[b]!));
}

/** Where nothing may overlap, memory is not what matters: the search then does this share of the work. */
const QUICK = 0.01;

/** Gives every buffer of a program its place in one arena. */
export function placeBuffers(program: Program, options: PlanOptions = {}): Plan {
  const uses = stepUses(program);
  const kinds = bufferKinds(program, uses);
  const lifetimes = lifetimesOf(program, uses, kinds);
  const pinned = options.pinned ?? false;
  const pairs = pinned || options.overlap === false ? [] : findPairs(program, uses, lifetimes, kinds);
  const presence = presenceOf(program, uses, kinds, lifetimes);
  const rowPairs = pinned || options.overlap === false ? [] : findRowPairs(program, uses, presence, kinds);
  const layout = layoutOf(program, presence, rowPairs, kinds, pairs, pinned);
  const bound = pinned ? layout.sizes.reduce((a, b) => a + b, 0) : lowerBound(presence, layout.sizes, kinds, pairs, rowPairs);
  const effort = options.overlap === false ? QUICK : 1;
  const { offsets, exhausted }: Solution = pinned ? { offsets: sideBySide(layout), exhausted: true } : solve({ layout, lifetimes, bound, effort });
  const arenaBytes = offsets.reduce((top, offset, i) => Math.max(top, offset + layout.sizes[i]!), 0);
  const overlaps = pairs
    .map((p): Overlap => ({ ...p, sharedBytes: sharedBytes(layout, offsets, p.input, p.output) }))
    .filter((o) => o.sharedBytes > 0);
  return { arenaBytes, offsets, lowerBoundBytes: bound, proved: arenaBytes === bound || exhausted, lifetimes, overlaps };
}
