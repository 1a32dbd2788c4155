import { KingletError } from "../base/index.ts";
import { memoryTypeOf, plainBytes, portBytes, type ProgramBuffer } from "../loops/index.ts";
import type { Compiled } from "./compile.ts";

/** The input tensors of one inference, as little-endian bytes, in the graph's order. */
export type Sample = readonly Uint8Array[];

/** A copy of a value's bytes as its type has them, whatever layout the target chose for it. */
export function plainValue(compiled: Compiled, buffer: ProgramBuffer, bytes: Uint8Array): Uint8Array {
  if (buffer.layout === undefined) return bytes.slice();
  const value = compiled.graph.values.find((each) => each.id === buffer.value)!;
  return plainBytes(bytes, value.shape, buffer.layout, memoryTypeOf(value.dtype)!);
}

/** @throws KingletError `bad-input` that names the tensor. */
export function checkSample(compiled: Compiled, sample: Sample): void {
  const ports = compiled.program.inputs;
  if (sample.length !== ports.length)
    throw new KingletError("bad-input", `the network has ${ports.length} inputs and was given ${sample.length}`, {
      hint: `inputs: ${ports.map((port) => `${port.name} ${port.dtype}[${port.shape.join(",")}]`).join(", ")}`,
    });
  ports.forEach((port, i) => {
    const expected = portBytes(compiled.program, ports[i]!);
    const got = sample[i]!.length;
    if (got !== expected)
      throw new KingletError(
        "bad-input",
        `input ${i} "${port.name}" is ${port.dtype}[${port.shape.join(",")}] and needs ${expected} bytes, not ${got}`,
      );
  });
}
