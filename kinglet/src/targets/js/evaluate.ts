import { bytesOf, fromBytes, type TypedArray } from "../../base/index.ts";
import type { Graph } from "../../graph/index.ts";
import { MEMORY_BYTES, type Placement, type Program } from "../../loops/index.ts";
import { lower } from "../lower.ts";
import { createJsRunner } from "./runner.ts";

/** Every buffer at its own address: nothing is ever overwritten. */
export function separatePlacement(program: Program): Placement {
  let next = 0;
  const offsets = program.buffers.map((buffer) => {
    const offset = next;
    next += Math.ceil((buffer.length * MEMORY_BYTES[buffer.type]) / 16) * 16;
    return offset;
  });
  return { arenaBytes: next, offsets };
}

/** One inference with the plain loops, in this process: the meaning of a graph. */
export function evaluate(graph: Graph, inputs: readonly TypedArray[]): TypedArray[] {
  const program = lower(graph);
  const runner = createJsRunner(program, separatePlacement(program));
  inputs.forEach((input, i) => runner.setInput(i, bytesOf(input)));
  runner.run();
  return program.outputs.map((port, i) => fromBytes(port.dtype, runner.output(i)));
}
