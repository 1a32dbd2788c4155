import type { Node } from "../../graph/index.ts";
import { attributesOf, inputOf, outputOf, type WindowAttributes } from "../../ops/index.ts";

/** A map that keeps its size under a 3x3 convolution and divides into patches of 2x2 outputs. */
export interface PatchedMap {
  readonly batches: number;
  readonly height: number;
  readonly width: number;
  readonly inC: number;
  readonly outC: number;
}

/** Winograd's working memory may be this many times what other kernels may take: it saves half of a layer's instructions. */
export const ROOMS = 3;

/** The map of an int8 3x3 convolution with stride 1, else undefined. */
export function patchedMap(node: Node): PatchedMap | undefined {
  const a = attributesOf<WindowAttributes>(node);
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1).shape, outputOf(node).shape];
  const [batches, height, width, inC] = x.shape as [number, number, number, number];
  const same = [a.padTop, a.padBottom, a.padLeft, a.padRight, a.strideH, a.strideW, a.dilationH ?? 1, a.dilationW ?? 1].every((n) => n === 1);
  const filter = w[1] === 3 && w[2] === 3 && w[3] === inC;
  if (x.dtype !== "int8" || !same || !filter || height % 2 !== 0 || width % 2 !== 0) return undefined;
  return { batches, height, width, inC, outC: y[3]! };
}
