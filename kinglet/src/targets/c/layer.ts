import type { Node } from "../../graph/index.ts";
import { type Buffer, defineFunction, type Expr, type Func, i32, intrinsic, type KernelBuilder } from "../../loops/index.ts";
import { inputOf, type Multiplier, type MultiplierRule, outputOf, requantize } from "../../ops/index.ts";

/** Bias, multipliers and bounds of an int8 layer, as kernel tables. */
export interface QuantizedLayer {
  /** Bias and multiplier of each channel in turn: one pointer for both keeps kernels and their calls short. */
  readonly pairs: Buffer;
  readonly shift: Buffer;
  readonly zeroPoint: Expr;
  readonly low: Expr;
  readonly high: Expr;
  /** All sums are proved small and all shifts go right: the short requantization gives the same result. */
  readonly small: boolean;
}

/**
 * `requantize` for |x| < 2^30 and a right shift of 1…30. The doubled product's upper half is the rounding high
 * multiply; adding the sign before the shift makes ties round away from zero, and nothing can overflow.
 */
export const requantizeSmall: Func = defineFunction(
  "requantize_small",
  "requantize() for |x| < 2^30 and a right shift of at least 1.",
  { x: "i32", multiplier: "i32", shift: "i32" },
  "i32",
  (f, x, multiplier, shift) => {
    const high = f.let("high", intrinsic("roundingHighMulSmall", x!, multiplier!));
    f.return(high.add(i32(1).shl(shift!.sub(1))).add(high.shr(31)).shr(shift!));
  },
);

/** Folds −zeroPoint · Σw into the bias where `fold`; `taps` gives the weights of a channel. */
function biasTable(node: Node, channels: number, fold: boolean, taps: (channel: number) => Iterable<number>): { bias: Int32Array; bound: number } {
  const zeroPoint = inputOf(node, 0).quantization!.zeroPoints[0]!;
  // The largest factor that meets a weight: a stored input, or an input without its zero point.
  const largest = fold ? 128 : Math.max(Math.abs(-128 - zeroPoint), Math.abs(127 - zeroPoint));
  const given = node.inputs[2]?.data as Int32Array | undefined;
  const bias = new Int32Array(channels);
  let bound = 0;
  for (let c = 0; c < channels; c++) {
    let sum = 0;
    let size = 0;
    for (const w of taps(c)) {
      sum += w;
      size += Math.abs(w);
    }
    const start = (given?.[c] ?? 0) - (fold ? zeroPoint * sum : 0);
    // Every partial sum lies within the bias plus or minus the largest factor times all |w|.
    bound = Math.max(bound, Math.abs(start) + largest * size);
    bias[c] = start;
  }
  return { bias, bound };
}

/** True where the short requantization is proved equal: see `requantizeSmall`. */
export function smallIsProved(bound: number, multipliers: readonly Multiplier[]): boolean {
  return bound < 2 ** 30 && multipliers.every((m) => m.multiplier !== 0 && m.shift <= -1 && m.shift >= -30);
}

function isInt8Layer(node: Node): boolean {
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const bias = node.inputs[2];
  const constant = w.data !== undefined && (bias === null || bias === undefined || (bias.data !== undefined && bias.dtype === "int32"));
  return x.dtype === "int8" && w.dtype === "int8" && y.dtype === "int8" && constant && (w.quantization?.zeroPoints.every((z) => z === 0) ?? false);
}

function padTable<T extends Int32Array | Int8Array>(table: T, multiple: number): T {
  const padded = new (table.constructor as new (length: number) => T)(Math.ceil(table.length / multiple) * multiple);
  padded.set(table as never);
  return padded;
}

function interleaved(bias: Int32Array, multipliers: readonly Multiplier[]): Int32Array {
  return Int32Array.from({ length: 2 * bias.length }, (_, i) => (i % 2 === 0 ? bias[i >> 1]! : multipliers[i >> 1]!.multiplier));
}

/** What a channel's sum starts from. */
export function channelBias(layer: QuantizedLayer, channel: Expr): Expr {
  return layer.pairs.load(channel.mul(2));
}

/** The weights of one channel of an OHWI or [out, in] tensor. */
function rowTaps(node: Node): (channel: number) => Iterable<number> {
  const w = inputOf(node, 1);
  const depth = w.shape.slice(1).reduce((p, d) => p * d, 1);
  return (channel) => (w.data as Int8Array).subarray(channel * depth, (channel + 1) * depth);
}

/** Which channels a layer has, how its weights lie, and what a kernel wants of its tables. */
export interface LayerForm {
  readonly channels: number;
  /** The weights of each channel. */
  readonly taps: (channel: number) => Iterable<number>;
  /** Tables are padded to a multiple of this. */
  readonly block: number;
  /** The kernel multiplies stored inputs: the zero point goes into the bias. */
  readonly fold: boolean;
  /** The kernel's sums are 256 times the real ones (see `packPairs`): they must stay below 2^23, and this makes the bias. */
  readonly pairBias?: (bias: number, taps: Iterable<number>) => number;
}

/** Rows of an OHWI or [out, in] weight tensor, `block` at a time, with the zero point folded. */
export function rowForm(node: Node, block: number): LayerForm {
  return { channels: inputOf(node, 1).shape[0]!, taps: rowTaps(node), block, fold: true };
}

/**
 * Prepares an int8 layer with constant symmetric weights, or gives undefined where the layer is another kind or
 * its sums could leave 32 bits.
 */
export function planLayer(node: Node, rule: MultiplierRule, form: LayerForm): ((k: KernelBuilder, result: { low: number; high: number; zeroPoint: number }) => QuantizedLayer) | undefined {
  if (!isInt8Layer(node)) return undefined;
  const { channels, block } = form;
  const { bias, bound } = biasTable(node, channels, form.fold, form.taps);
  if (bound >= 2 ** 31) return undefined;
  const multipliers = rule(node, channels);
  const small = smallIsProved(bound, multipliers);
  if (form.pairBias !== undefined) {
    if (!small || bound >= 2 ** 23) return undefined;
    bias.forEach((value, c) => {
      bias[c] = form.pairBias!(value, form.taps(c));
    });
  }
  return (k, result) => ({
    pairs: k.constant("bias_multiplier", "i32", padTable(interleaved(bias, multipliers), 2 * block)),
    shift: k.constant("shift", "i8", padTable(Int8Array.from(multipliers, (m) => (small ? -m.shift : m.shift)), block)),
    zeroPoint: k.int("zero_point", result.zeroPoint),
    low: k.int("low", result.low),
    high: k.int("high", result.high),
    small,
  });
}

/** The stored result of a finished sum. */
export function requantizeLayer(k: KernelBuilder, layer: QuantizedLayer, sum: Expr, channel: Expr): Expr {
  const scaled = k.call(layer.small ? requantizeSmall : requantize, sum, layer.pairs.load(channel.mul(2).add(1)), layer.shift.load(channel));
  return scaled.add(layer.zeroPoint).clamp(layer.low, layer.high);
}
