import { allocate, type DType, KingletError, type TypedArray } from "../base/index.ts";
import type { Node, Value, ValueType } from "../graph/index.ts";
import { badNode } from "./op.ts";

/** real = scale · (stored − zeroPoint) for a whole tensor. */
export interface TensorQuantization {
  readonly scale: number;
  readonly zeroPoint: number;
}

/** Per-tensor quantization of a value. @throws KingletError `bad-graph` where there is none. */
export function quantizationOf(node: Node, value: ValueType & { readonly name?: string }): TensorQuantization {
  const quantization = value.quantization;
  if (quantization === undefined) throw badNode(node, `needs the scale of its ${value.dtype} tensor "${value.name ?? ""}"`);
  return { scale: quantization.scales[0]!, zeroPoint: quantization.zeroPoints[0]! };
}

/** Smallest and largest stored number. */
export function rangeOfDType(dtype: DType): { low: number; high: number } {
  switch (dtype) {
    case "int8":
      return { low: -128, high: 127 };
    case "uint8":
      return { low: 0, high: 255 };
    case "int16":
      return { low: -32768, high: 32767 };
    case "uint16":
      return { low: 0, high: 65535 };
    case "bool":
      return { low: 0, high: 1 };
    default:
      return { low: -(2 ** 31), high: 2 ** 31 - 1 };
  }
}

/** Rounds half away from zero, as C's `round`. */
export function roundAway(x: number): number {
  return x < 0 ? -Math.floor(-x + 0.5) : Math.floor(x + 0.5);
}

/**
 * Real numbers as a value of this type stores them, rounded and clamped as the `quantize` operator does it; float32 as they are.
 * @throws KingletError `unsupported` for a type without a scale for the whole tensor.
 */
export function storedNumbers({ dtype, quantization }: ValueType, real: Float32Array): TypedArray {
  if (dtype === "float32") return real;
  if (quantization?.scales.length !== 1)
    throw new KingletError("unsupported", `real numbers cannot be stored as ${dtype} without a scale for all of them`);
  const [scale, zeroPoint, { low, high }] = [quantization.scales[0]!, quantization.zeroPoints[0]!, rangeOfDType(dtype)];
  const stored = allocate(dtype, real.length);
  for (let i = 0; i < real.length; i++) stored[i] = Math.min(high, Math.max(low, roundAway(real[i]! / scale) + zeroPoint));
  return stored;
}

/** A positive real factor as multiplier / 2^31 · 2^shift with 2^30 <= multiplier < 2^31. */
export interface Multiplier {
  readonly multiplier: number;
  /** Positive shifts left. */
  readonly shift: number;
}

/** The published TensorFlow Lite decomposition of a real factor (QuantizeMultiplier). */
export function quantizeMultiplier(real: number): Multiplier {
  if (real === 0) return { multiplier: 0, shift: 0 };
  let shift = Math.floor(Math.log2(Math.abs(real))) + 1;
  while (Math.abs(real) / 2 ** shift >= 1) shift++;
  while (Math.abs(real) / 2 ** shift < 0.5) shift--;
  let multiplier = roundAway((real / 2 ** shift) * 2 ** 31);
  if (multiplier === 2 ** 31) {
    multiplier /= 2;
    shift++;
  }
  if (shift < -31) return { multiplier: 0, shift: 0 };
  if (shift > 30) return { multiplier: 2 ** 31 - 1, shift: 30 };
  return { multiplier, shift };
}

/** One factor for each output channel of a convolution: input scale · weight scale / output scale. */
export function channelMultipliers(input: TensorQuantization, weights: Value, output: TensorQuantization, channels: number): Multiplier[] {
  const scales = weights.quantization?.scales ?? [];
  return Array.from({ length: channels }, (_, c) => {
    const scale = scales.length > 1 ? scales[c]! : scales[0]!;
    return quantizeMultiplier((input.scale * scale) / output.scale);
  });
}

export type Activation = "none" | "relu" | "relu6" | "reluN1To1" | "tanh";

const FLOAT_BOUNDS: Readonly<Record<Activation, readonly [number, number]>> = {
  none: [-Infinity, Infinity],
  relu: [0, Infinity],
  relu6: [0, 6],
  reluN1To1: [-1, 1],
  tanh: [-Infinity, Infinity],
};

/** Bounds of a fused activation on real numbers. */
export function floatBounds(activation: Activation): { low: number; high: number } {
  const [low, high] = FLOAT_BOUNDS[activation];
  return { low, high };
}

/** Bounds of a fused activation on stored numbers. */
export function quantizedBounds(activation: Activation, quantization: TensorQuantization, dtype: DType): { low: number; high: number } {
  const range = rangeOfDType(dtype);
  const real = floatBounds(activation);
  const stored = (x: number): number => quantization.zeroPoint + roundAway(Math.fround(x / quantization.scale));
  return {
    low: real.low === -Infinity ? range.low : Math.min(range.high, Math.max(range.low, stored(real.low))),
    high: real.high === Infinity ? range.high : Math.max(range.low, Math.min(range.high, stored(real.high))),
  };
}
