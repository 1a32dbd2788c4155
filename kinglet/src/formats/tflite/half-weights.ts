import { losslessFloat16 } from "../../base/index.ts";
import type { Graph } from "../../graph/index.ts";

/** Shorter constants (biases, mostly) cost little either way. */
const WORTH_HALVING = 32;

/**
 * Half-precision bits of a network's larger float constants, by the value's id, where all of them lose nothing by it: then the
 * network was rounded to half precision or came from a file that was. Empty where any of them needs more.
 */
export function halfWeights({ values, nodes }: Graph): ReadonlyMap<number, Uint16Array> {
  const read = new Set(nodes.flatMap(({ inputs }) => inputs.map((value) => value?.id)));
  const halves = new Map<number, Uint16Array>();
  for (const { id, dtype, data } of values) {
    if (dtype !== "float32" || data === undefined || data.length < WORTH_HALVING || !read.has(id)) continue;
    const half = losslessFloat16(data as Float32Array);
    if (half === null) return new Map();
    halves.set(id, half);
  }
  return halves;
}
