import { inputOf, type Schedule } from "../../ops/index.ts";
import { gatheredKernel } from "./gathered.ts";
import { fewPixelsKernel } from "./pair-dense.ts";
import { isPointwise, pointwiseKernel } from "./pointwise.ts";
import type { TileShape } from "./tile.ts";

/** Convolutions with weight pairs in lanes where they are proved, else `otherwise`. */
export function tileSchedule(shape: TileShape, otherwise: Schedule): Schedule {
  return (node) => {
    if (inputOf(node, 1).shape[3] !== inputOf(node, 0).shape[3]) return undefined;
    const tile = isPointwise(node) ? (pointwiseKernel(node, shape) ?? fewPixelsKernel(node, shape)) : gatheredKernel(node, shape);
    return tile ?? otherwise(node);
  };
}
