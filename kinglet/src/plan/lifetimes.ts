import { KingletError } from "../base/index.ts";
import type { Program } from "../loops/index.ts";
import type { Lifetime } from "./types.ts";
import type { BufferKind, StepUse } from "./usage.ts";

interface Touches {
  first: number;
  last: number;
  firstWrite: number;
}

function touchesOf(program: Program, uses: readonly StepUse[]): Touches[] {
  const touches = program.buffers.map((): Touches => ({ first: Infinity, last: -1, firstWrite: Infinity }));
  uses.forEach((use, step) => {
    for (const b of [...use.reads, ...use.writes]) {
      const touch = touches[b]!;
      touch.first = Math.min(touch.first, step);
      touch.last = step;
    }
    for (const b of use.writes) touches[b]!.firstWrite = Math.min(touches[b]!.firstWrite, step);
  });
  return touches;
}

function lifetimeOf(program: Program, buffer: number, kind: BufferKind, touch: Touches, end: number): Lifetime {
  const isOutput = program.outputs.some((port) => port.buffer === buffer);
  if (kind === "state") return { buffer, first: 0, last: end };
  if (kind === "input") return { buffer, first: 0, last: isOutput ? end : Math.max(0, touch.last) };
  if (touch.firstWrite === Infinity || touch.first < touch.firstWrite) {
    const what = touch.firstWrite === Infinity ? "is never written" : "is read before it is written";
    throw new KingletError("bad-graph", `The value ${what}.`, { place: program.buffers[buffer]!.name });
  }
  return { buffer, first: touch.first, last: isOutput ? end : touch.last };
}

/** When each buffer must keep its bytes, in steps. Inputs count from step 0, outputs to the last step. */
export function lifetimesOf(program: Program, uses: readonly StepUse[], kinds: readonly BufferKind[]): Lifetime[] {
  const end = Math.max(0, program.steps.length - 1);
  return touchesOf(program, uses).map((touch, b) => lifetimeOf(program, b, kinds[b]!, touch, end));
}
