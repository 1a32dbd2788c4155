import type { Node } from "../../graph/index.ts";
import { inputOf } from "../../ops/index.ts";

/** A layer's weights as a matrix: one row of `width` taps for every output channel. */
export interface LayerView {
  readonly outputs: number;
  /** Taps of one output channel. */
  readonly width: number;
  /** Where tap k of output o lies in the weight tensor: o · stepO + k · stepK. */
  readonly stepO: number;
  readonly stepK: number;
  /** Input channel that a tap of an output channel reads. */
  readonly channelOf: (output: number, tap: number) => number;
}

/** The matrix view of a conv2d, depthwiseConv2d, fullyConnected or transposeConv2d node's weights. */
export function layerView(node: Node): LayerView {
  const { shape } = inputOf(node, 1);
  if (node.op === "depthwiseConv2d") {
    const outputs = shape[3]!;
    const multiplier = Number(node.attributes["depthMultiplier"] ?? 1);
    return { outputs, width: shape[1]! * shape[2]!, stepO: 1, stepK: outputs, channelOf: (o) => Math.floor(o / multiplier) };
  }
  const outputs = shape[0]!;
  const width = shape.slice(1).reduce((product, dim) => product * dim, 1);
  const inner = shape[shape.length - 1]!;
  const groups = node.op === "conv2d" ? inputOf(node, 0).shape[3]! / inner : 1;
  const perGroup = outputs / groups;
  return { outputs, width, stepO: width, stepK: 1, channelOf: (o, k) => Math.floor(o / perGroup) * inner + (k % inner) };
}

/** Largest magnitude of each output channel's weights. */
export function outputRanges(view: LayerView, weights: ArrayLike<number>): number[] {
  return Array.from({ length: view.outputs }, (_, o) => {
    let most = 0;
    for (let k = 0; k < view.width; k++) most = Math.max(most, Math.abs(weights[o * view.stepO + k * view.stepK]!));
    return most;
  });
}
