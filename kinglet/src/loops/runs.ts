import { AWAIT_ROW, type Port, type Program, type StepArgument } from "./program.ts";
import { MEMORY_BYTES } from "./types.ts";

/** One thing that happens in an inference: a step runs, for the `turn`-th time, or a row of the streamed input arrives. */
export type Run = { readonly kind: "step"; readonly step: number; readonly turn: number } | { readonly kind: "await"; readonly row: number };

/** What an inference does, in order: every step once, those of stages as often as they have rows. */
export function runsOf(program: Program): Run[] {
  const runs: Run[] = [];
  const turns = program.steps.map(() => 0);
  let row = 0;
  const stages = new Map((program.stages ?? []).map((stage) => [stage.first, stage]));
  for (let step = 0; step < program.steps.length; ) {
    const stage = stages.get(step);
    for (const at of stage?.order ?? [0]) {
      if (at === AWAIT_ROW) runs.push({ kind: "await", row: row++ });
      else runs.push({ kind: "step", step: step + at, turn: turns[step + at]!++ });
    }
    step += stage?.count ?? 1;
  }
  return runs;
}

/** The first element of its buffer that an argument stands for. */
export function startOf(arg: Extract<StepArgument, { kind: "buffer" }>, turn: number): number {
  return (arg.start ?? 0) + turn * (arg.advance ?? 0);
}

/** Elements of a port's tensor, also where it comes row by row. */
export function portLength(program: Program, port: Port): number {
  return port.rows === undefined ? program.buffers[port.buffer]!.length : port.rows.count * port.rows.length;
}

/** Bytes of a port's tensor. */
export function portBytes(program: Program, port: Port): number {
  return portLength(program, port) * MEMORY_BYTES[program.buffers[port.buffer]!.type];
}
