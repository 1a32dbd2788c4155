import type { Node, Value } from "../graph/index.ts";
import { type Buffer, constant, type Expr, i32, type KernelBuilder, type ScalarType, type Variable } from "../loops/index.ts";
import { reducedMultiplier, requantize, requantize64 } from "./fixed.ts";
import { inputOf, outputOf, unsupportedTypes } from "./op.ts";
import {
  type Activation,
  channelMultipliers,
  floatBounds,
  type Multiplier,
  quantizationOf,
  quantizedBounds,
  quantizeMultiplier,
} from "./quantization.ts";

/** A running sum of one output element of a convolution or a fully connected layer. */
export interface Accumulator {
  readonly type: ScalarType;
  readonly variable: Variable;
  /** Minus the zero points of input and weights. */
  readonly inputOffset: Expr;
  readonly weightOffset: Expr;
  readonly finish: (acc: Expr, channel: Expr) => Expr;
}

/** How the real factors of a layer come about: TensorFlow Lite forms them differently for the two families. */
export type MultiplierRule = (node: Node, channels: number) => Multiplier[];

export const convMultipliers: MultiplierRule = (node, channels) =>
  channelMultipliers(quantizationOf(node, inputOf(node, 0)), inputOf(node, 1), quantizationOf(node, outputOf(node)), channels);

/** Per-tensor fully connected layers form input · weight scale in single precision first. */
export const denseMultipliers: MultiplierRule = (node, channels) => {
  const weights = inputOf(node, 1);
  if ((weights.quantization?.scales.length ?? 0) > 1) return convMultipliers(node, channels);
  const product = Math.fround(quantizationOf(node, inputOf(node, 0)).scale * quantizationOf(node, weights).scale);
  const factor = quantizeMultiplier(product / quantizationOf(node, outputOf(node)).scale);
  return Array.from({ length: channels }, () => factor);
};

/** Sum type: single precision, 32 bits, or 64 bits for 16x8 layers whose bias has 64. */
export function accumulatorType(node: Node): ScalarType {
  const x = inputOf(node, 0).dtype;
  const bias = node.inputs[2];
  if (x === "float32" && inputOf(node, 1).dtype === "float32") return "f32";
  if (x === "int8" || x === "uint8") return "i32";
  if (x === "int16") return bias?.dtype === "int32" ? "i32" : "i64";
  throw unsupportedTypes(node);
}

/** Stored clamp bounds of an integer layer's result. */
export function resultBounds(node: Node, activation: Activation): { low: number; high: number; zeroPoint: number } {
  const y = outputOf(node);
  const quantization = quantizationOf(node, y);
  return { ...quantizedBounds(activation, quantization, y.dtype), zeroPoint: quantization.zeroPoint };
}

function zeroPointOf(node: Node, value: Value): number {
  return quantizationOf(node, value).zeroPoint;
}

function floatFinish(k: KernelBuilder, activation: Activation, bias: Buffer | undefined): Accumulator["finish"] {
  const { low, high } = floatBounds(activation);
  return (acc, channel) => {
    const sum = bias === undefined ? acc : acc.add(bias.load(channel));
    return low === -Infinity && high === Infinity ? sum : sum.clamp(k.float("low", low), k.float("high", high));
  };
}

function integerFinish(k: KernelBuilder, node: Node, activation: Activation, multipliers: Multiplier[], type: ScalarType): Accumulator["finish"] {
  const { low, high, zeroPoint } = resultBounds(node, activation);
  const wide = type === "i64";
  const multiplier = k.constant(
    "multiplier",
    "i32",
    Int32Array.from(multipliers, (m) => (wide ? reducedMultiplier(m.multiplier) : m.multiplier)),
  );
  const shift = k.constant(
    "shift",
    "i8",
    Int8Array.from(multipliers, (m) => m.shift),
  );
  return (acc, channel) => {
    const scaled = k.call(wide ? requantize64 : requantize, acc, multiplier.load(channel), shift.load(channel));
    return scaled.add(k.int("zero_point", zeroPoint)).clamp(k.int("low", low), k.int("high", high));
  };
}

/**
 * Prepares bias, multipliers and bounds of a layer with inputs [x, w, bias] and gives a function that starts the
 * sum of one output channel. Float layers add the bias last, as TensorFlow Lite's reference does.
 */
export function accumulatorFor(
  k: KernelBuilder,
  node: Node,
  activation: Activation,
  rule: MultiplierRule = convMultipliers,
): (channel: Expr) => Accumulator {
  const type = accumulatorType(node);
  const bias = k.hasInput(2) ? k.input(2, "bias") : undefined;
  const channels =
    node.op === "fullyConnected" || node.op === "conv2d" || node.op === "transposeConv2d" ? inputOf(node, 1).shape[0]! : inputOf(node, 1).shape[3]!;
  const float = type === "f32";
  const finish = float ? floatFinish(k, activation, bias) : integerFinish(k, node, activation, rule(node, channels), type);
  const inputOffset = float ? i32(0) : k.int("input_offset", -zeroPointOf(node, inputOf(node, 0)));
  const weightOffset = float ? i32(0) : k.int("weight_offset", -zeroPointOf(node, inputOf(node, 1)));
  return (channel) => {
    const first = float || bias === undefined ? constant(0, type) : bias.load(channel).to(type);
    return { type, variable: k.variable("acc", first), inputOffset, weightOffset, finish };
  };
}

/** The stored result of a finished sum. */
export function finishAccumulator(k: KernelBuilder, acc: Accumulator, channel: Expr): Expr {
  return acc.finish(k.let("sum", acc.variable.get()), channel);
}
