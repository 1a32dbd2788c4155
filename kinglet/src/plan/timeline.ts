import type { Program } from "../loops/index.ts";
import type { Plan } from "./types.ts";
import { blockBytes, type BufferKind, bufferKinds, stepUses } from "./usage.ts";

export interface TimelineBlock {
  readonly buffer: number;
  readonly name: string;
  /** First and last step, both included. */
  readonly first: number;
  readonly last: number;
  readonly offset: number;
  readonly bytes: number;
  readonly kind: BufferKind;
}

export interface TimelineStep {
  readonly name: string;
  /** Bytes of the arena that hold something needed while the step runs; shared bytes count once. */
  readonly liveBytes: number;
}

export interface Timeline {
  readonly blocks: readonly TimelineBlock[];
  readonly steps: readonly TimelineStep[];
  /** The step with the most live bytes. */
  readonly peakStep: number;
  readonly arenaBytes: number;
}

/** Bytes that the blocks cover together. */
function covered(blocks: readonly TimelineBlock[]): number {
  let total = 0;
  let end = 0;
  for (const block of [...blocks].sort((a, b) => a.offset - b.offset)) {
    const top = block.offset + block.bytes;
    total += Math.max(0, top - Math.max(end, block.offset));
    end = Math.max(end, top);
  }
  return total;
}

/** A plan as blocks over time and memory, for drawing. */
export function planTimeline(program: Program, plan: Plan): Timeline {
  const kinds = bufferKinds(program, stepUses(program));
  const blocks = plan.lifetimes.map(
    ({ buffer, first, last }): TimelineBlock => ({
      buffer,
      first,
      last,
      name: program.buffers[buffer]!.name,
      offset: plan.offsets[buffer]!,
      bytes: blockBytes(program.buffers[buffer]!),
      kind: kinds[buffer]!,
    }),
  );
  const steps = program.steps.map(
    (step, at): TimelineStep => ({
      name: step.name,
      liveBytes: covered(blocks.filter((b) => b.first <= at && at <= b.last)),
    }),
  );
  const peakStep = steps.reduce((best, step, at) => (step.liveBytes > steps[best]!.liveBytes ? at : best), 0);
  return { blocks, steps, peakStep, arenaBytes: plan.arenaBytes };
}
