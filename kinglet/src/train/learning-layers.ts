import type { Graph, Node, Value } from "../graph/index.ts";
import { learnableValues } from "../ops/index.ts";

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

/** Layers whose gradients can leave channels out. A depthwise one has so few weights that a share would save nothing. */
function isDivisible({ op, inputs: [x, w] }: Node): boolean {
  return op === "fullyConnected" || (op === "conv2d" && w!.shape[3] === x!.shape[3]);
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
