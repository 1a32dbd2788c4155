import type { Graph, Node, Value } from "../graph/index.ts";
import { type DepthwiseAttributes, learnableValues } from "../ops/index.ts";

/** A layer whose parameters can learn. */
export interface LearningLayer {
  readonly name: string;
  /** Its matrices, and its vectors. */
  readonly weights: readonly Value[];
  readonly biases: readonly Value[];
  /** The last dimension of its weights; a share of them can learn where `divisible`. */
  readonly channels: number;
  readonly divisible: boolean;
}

/** Rules of gradients that can leave channels out: those of layers in which each input channel has its own weights, side by side. */
function isDivisible(node: Node): boolean {
  const [x, w] = [node.inputs[0], node.inputs[1]];
  if (node.op === "fullyConnected") return true;
  if (node.op === "conv2d") return w!.shape[3] === x!.shape[3];
  return node.op === "depthwiseConv2d" && (node.attributes as unknown as DepthwiseAttributes).depthMultiplier === 1;
}

/** Layers with parameters that can learn, the last first. A parameter that several nodes share is the last one's. */
export function learningLayers(network: Graph): LearningLayer[] {
  const free = new Set(learnableValues(network));
  return network.nodes.toReversed().flatMap((node): LearningLayer[] => {
    const own = node.inputs.filter((value): value is Value => value !== null && free.delete(value));
    if (own.length === 0) return [];
    const weights = own.filter(({ shape }) => shape.length > 1);
    const divisible = weights.length === 1 && weights[0] === node.inputs[1] && isDivisible(node);
    return [{ name: node.name, weights, biases: own.filter(({ shape }) => shape.length <= 1), channels: weights[0]?.shape.at(-1) ?? 0, divisible }];
  });
}
