import { elementCount, type Shape } from "../../base/index.ts";
import type { Attributes, Node, Value } from "../../graph/index.ts";
import { attributesOf, outputOf } from "../op.ts";
import type { Activation } from "../quantization.ts";

/** How a gradient rule writes nodes. */
export interface GradientContext {
  /** Adds a node; types follow from its shape rule. */
  apply(op: string, inputs: readonly (Value | null)[], attributes?: Attributes): readonly Value[];
  /** A float32 constant. */
  constant(name: string, shape: Shape, data: Float32Array): Value;
  /** Whether anybody needs the gradient of the node's input `index`. */
  wanted(index: number): boolean;
  /** How many channels (its last dimension) of the wanted gradient of input `index`, the first ones, anybody needs. */
  channels(index: number): number;
}

/**
 * Writes the nodes that compute the gradient of a scalar with respect to a node's inputs, given the gradients of its outputs
 * (null where nothing depends on one). Gives one entry for each input: null where there is none or it is not wanted.
 */
export type GradientRule = (g: GradientContext, node: Node, dy: readonly (Value | null)[]) => readonly (Value | null)[];

/** The first output of a new node. */
export function one(g: GradientContext, op: string, inputs: readonly (Value | null)[], attributes: Attributes = {}): Value {
  return g.apply(op, inputs, attributes)[0]!;
}

export function binary(g: GradientContext, op: "add" | "sub" | "mul" | "div", a: Value, b: Value): Value {
  return one(g, op, [a, b], { activation: "none" });
}

/** x · factor */
export function scaledBy(g: GradientContext, x: Value, factor: number): Value {
  return binary(g, "mul", x, g.constant("factor", [1], Float32Array.of(factor)));
}

export function reshaped(g: GradientContext, x: Value, shape: Shape): Value {
  return x.shape.length === shape.length && x.shape.every((d, i) => d === shape[i]) ? x : one(g, "reshape", [x], { shape: [...shape] });
}

/** The first channels, in the last dimension. */
export function firstChannels(g: GradientContext, x: Value, count: number): Value {
  if (count === x.shape.at(-1)) return x;
  return one(g, "slice", [x], { begin: x.shape.map(() => 0), size: [...x.shape.slice(0, -1), count] });
}

/** The real numbers that a value stands for. */
export function realNumbers(g: GradientContext, value: Value): Value {
  return value.dtype === "float32" ? value : one(g, "dequantize", [value]);
}

/** Undoes broadcasting: sums over the dimensions along which `shape` was repeated. */
export function sumTo(g: GradientContext, dy: Value, shape: Shape): Value {
  const lead = dy.shape.length - shape.length;
  const axes = dy.shape.flatMap((size, d) => (size !== 1 && (d < lead || shape[d - lead] === 1) ? [d] : []));
  const summed = axes.length === 0 ? dy : one(g, "sum", [dy], { axes, keepDims: true });
  return reshaped(g, summed, shape);
}

/** The sum over all dimensions but the last: a bias's gradient. */
export function channelSums(g: GradientContext, dy: Value, shape: Shape): Value {
  const rows = reshaped(g, dy, [elementCount(dy.shape.slice(0, -1)), dy.shape.at(-1)!]);
  return reshaped(g, one(g, "sum", [rows], { axes: [0], keepDims: false }), shape);
}

/** The gradient before a fused activation, from the one behind it. */
export function throughActivation(g: GradientContext, node: Node, dy: Value): Value {
  const activation = attributesOf<{ activation?: Activation }>(node).activation ?? "none";
  return activation === "none" ? dy : one(g, "activationGradient", [dy, outputOf(node)], { of: activation });
}
