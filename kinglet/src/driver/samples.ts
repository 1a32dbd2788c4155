import { allocate, bytesOf, type DType, elementCount, Xorshift32 } from "../base/index.ts";
import type { Graph } from "../graph/index.ts";
import type { Sample } from "./tensors.ts";

/** Whole 32-bit and wider numbers are mostly indices and lengths: small ones mean something to any network. */
const SMALL_INTEGER_MASK = 7;

/** One random element: the high bits of a step of the generator, over the whole range of small types. */
function element(dtype: DType, random: Xorshift32): number | bigint {
  switch (dtype) {
    case "float32":
    case "float64":
      return random.float();
    case "bool":
      return random.next() >>> 31;
    case "int8":
    case "uint8":
      return random.next() >>> 24;
    case "int16":
    case "uint16":
      return random.next() >>> 16;
    // Exponents below the all-ones pattern: finite half-precision numbers in (-2, 2).
    case "float16":
      return (random.next() >>> 16) & 0xbfff;
    case "int32":
    case "uint32":
      return (random.next() >>> 24) & SMALL_INTEGER_MASK;
    case "int64":
    case "uint64":
      return BigInt((random.next() >>> 24) & SMALL_INTEGER_MASK);
    default:
      return dtype satisfies never;
  }
}

/** The input tensors that belong to a seed: the same on every machine, one generator step an element. */
export function seededSample(graph: Graph, seed: number): Sample {
  const random = new Xorshift32(seed);
  return graph.inputs.map(({ dtype, shape }) => {
    const data = allocate(dtype, elementCount(shape));
    for (let i = 0; i < data.length; i++) data[i] = element(dtype, random);
    return bytesOf(data);
  });
}
