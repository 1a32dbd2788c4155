import type { Program, Stage } from "../loops/index.ts";
import { type Presence, presenceOf } from "./presence.ts";
import type { Lifetime, Plan } from "./types.ts";
import { blockBytes, type BufferKind, bufferKinds, stepUses } from "./usage.ts";

/** A line is a buffer of a stage that holds some rows of a value, never all of it. */
export type BlockKind = BufferKind | "line";

export interface TimelineBlock {
  readonly buffer: number;
  readonly name: string;
  /** First and last step, both included; a line is there as long as its stage, whose steps run in turn. */
  readonly first: number;
  readonly last: number;
  readonly offset: number;
  readonly bytes: number;
  readonly kind: BlockKind;
}

export interface TimelineStep {
  readonly name: string;
  /** Bytes of the arena that hold something needed while the step runs, at most; shared bytes count once. */
  readonly liveBytes: number;
}

export type TimelineStage = Pick<Stage, "name" | "first" | "count">;

export interface Timeline {
  readonly blocks: readonly TimelineBlock[];
  readonly steps: readonly TimelineStep[];
  /** Steps that run in turn, a row at a time. */
  readonly stages: readonly TimelineStage[];
  /** The step with the most live bytes. */
  readonly peakStep: number;
  readonly arenaBytes: number;
}

interface Piece {
  readonly low: number;
  readonly high: number;
}

/** Bytes that the pieces cover together. */
function covered(pieces: readonly Piece[]): number {
  let total = 0;
  let end = 0;
  for (const { low, high } of [...pieces].sort((a, b) => a.low - b.low)) {
    total += Math.max(0, high - Math.max(end, low));
    end = Math.max(end, high);
  }
  return total;
}

/** What a buffer holds at a run that is needed then or later. */
function pieceAt({ spans, extents }: Presence, block: TimelineBlock, buffer: number, run: number): Piece | null {
  if (!spans[buffer]!.some(([from, to]) => from <= run && run <= to)) return null;
  const extent = extents.get(block.buffer)?.[run] ?? { low: 0, high: block.bytes };
  return extent.low < extent.high ? { low: block.offset + extent.low, high: block.offset + extent.high } : null;
}

/** The most bytes in use during any run of each step. */
function liveBytes(program: Program, presence: Presence, blocks: readonly TimelineBlock[]): number[] {
  const live = program.steps.map(() => 0);
  presence.runs.forEach((run, at) => {
    if (run.kind !== "step") return;
    const pieces = blocks.flatMap((block, i) => pieceAt(presence, block, i, at) ?? []);
    live[run.step] = Math.max(live[run.step]!, covered(pieces));
  });
  return live;
}

/** The block of a buffer; a value that lives in one stage lies there while the stage lasts. */
function blockOf(program: Program, plan: Plan, kind: BufferKind, { buffer, first, last }: Lifetime): TimelineBlock {
  const stage = program.stages?.find((each) => each.first <= first && last < each.first + each.count);
  const time =
    stage === undefined || kind !== "value"
      ? { first, last, kind }
      : { first: stage.first, last: stage.first + stage.count - 1, kind: "line" as const };
  const placed = program.buffers[buffer]!;
  return { buffer, name: placed.name, offset: plan.offsets[buffer]!, bytes: blockBytes(placed), ...time };
}

/** A plan as blocks over time and memory, for drawing. */
export function planTimeline(program: Program, plan: Plan): Timeline {
  const uses = stepUses(program);
  const kinds = bufferKinds(program, uses);
  const blocks = plan.lifetimes.map((lifetime) => blockOf(program, plan, kinds[lifetime.buffer]!, lifetime));
  const live = liveBytes(program, presenceOf(program, uses, kinds, plan.lifetimes), blocks);
  const steps = program.steps.map((step, at): TimelineStep => ({ name: step.name, liveBytes: live[at]! }));
  const peakStep = steps.reduce((best, step, at) => (step.liveBytes > steps[best]!.liveBytes ? at : best), 0);
  const stages = (program.stages ?? []).map(({ name, first, count }) => ({ name, first, count }));
  return { blocks, steps, stages, peakStep, arenaBytes: plan.arenaBytes };
}
