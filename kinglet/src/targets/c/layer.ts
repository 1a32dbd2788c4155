import type { Node } from "../../graph/index.ts";
import { type Buffer, defineFunction, type Expr, type Func, i32, intrinsic, type KernelBuilder, type KernelNotes } from "../../loops/index.ts";
import { type Activation, attributesOf, inputOf, type Multiplier, type MultiplierRule, outputOf, requantize, resultBounds } from "../../ops/index.ts";
import { analyseChannel, type Channel } from "./channels.ts";

/** Bias, multipliers and bounds of an int8 layer, as kernel tables. */
export interface QuantizedLayer {
  /** Bias and multiplier of each channel in turn: one pointer for both keeps kernels and their calls short. */
  readonly pairs: Buffer;
  /** Of each channel: as `requantize` takes it, or where `small` how far it goes right, less one. */
  readonly shift: Buffer;
  /** The result's zero point, or where `small` one more than twice that: rounding and zero point in one addition. */
  readonly zeroPoint: Expr;
  readonly low: Expr;
  readonly high: Expr;
  /** All sums are proved small and all shifts go right: the short requantization gives the same result. */
  readonly small: boolean;
  /** The result may be any int8. */
  readonly wholeRange: boolean;
}

/**
 * The last steps of a requantization whose shift goes right by at least 1: `high` is the rounding high multiply,
 * `shift` one less than the shift. Adding the sign makes ties round away from zero; rounding after the last bit is
 * the same as rounding after all of them. `rounding` is 1 and twice whatever the result is to be raised by.
 */
function roundedShift(high: Expr, shift: Expr, rounding: Expr): Expr {
  return high.add(high.shr(31)).shr(shift).add(rounding).shr(1);
}

/** `requantize` for |x| < 2^30 and a right shift of 1…30: nothing in it can overflow. */
export const requantizeSmall: Func = defineFunction(
  "requantize_small",
  "requantize() for |x| < 2^30 and a right shift of at least 1.",
  { x: "i32", multiplier: "i32", shift: "i32" },
  "i32",
  (f, x, multiplier, shift) => {
    const high = f.let("high", intrinsic("roundingHighMulSmall", x!, multiplier!));
    f.return(roundedShift(high, shift!.sub(1), i32(1)));
  },
);

/** True where the short requantization is proved equal: see `requantizeSmall`. */
export function smallIsProved(bound: number, multipliers: readonly Multiplier[]): boolean {
  return bound < 2 ** 30 && multipliers.every((m) => m.multiplier !== 0 && m.shift <= -1 && m.shift >= -30);
}

export function isInt8Layer(node: Node): boolean {
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

/** Which channels a layer has, where their weights lie, and what a kernel wants of its tables. */
export interface LayerForm {
  readonly channels: number;
  /** Weights of a channel, and where they are: `first + i · step` for i < taps. */
  readonly taps: number;
  readonly first: (channel: number) => number;
  readonly step: number;
  /** Tables are padded to a multiple of this. */
  readonly block: number;
  /** The kernel multiplies stored inputs: the zero point goes into the bias. */
  readonly fold: boolean;
}

/** Rows of an OHWI or [out, in] weight tensor, `block` at a time, with the zero point folded. */
export function rowForm(node: Node, block: number): LayerForm {
  const [channels, ...rest] = inputOf(node, 1).shape;
  const taps = rest.reduce((p, d) => p * d, 1);
  return { channels: channels!, taps, first: (channel) => channel * taps, step: 1, block, fold: true };
}

/** A layer whose tables are ready to become a kernel's. */
export interface LayerPlan {
  /** The layer's weights, zero in channels whose result is constant. */
  readonly weights: Int8Array;
  readonly notes: KernelNotes;
  tables(k: KernelBuilder): QuantizedLayer;
}

export function tapsOf(data: Int8Array, form: LayerForm, channel: number): Int8Array {
  return Int8Array.from({ length: form.taps }, (_, i) => data[form.first(channel) + i * form.step]!);
}

/** What is known of each channel of an int8 layer. */
export function analyseLayer(node: Node, rule: MultiplierRule, form: LayerForm, data: Int8Array): Channel[] {
  const input = inputOf(node, 0).quantization!.zeroPoints[0]!;
  const result = resultBounds(node, attributesOf<{ activation: Activation }>(node).activation);
  const given = node.inputs[2]?.data as Int32Array | undefined;
  return rule(node, form.channels).map((multiplier, c) => {
    const weights = tapsOf(data, form, c);
    const bias = (given?.[c] ?? 0) - (form.fold ? input * weights.reduce((sum, w) => sum + w, 0) : 0);
    const [low, high] = form.fold ? [-128, 127] : [-128 - input, 127 - input];
    return analyseChannel({
      bias,
      weights,
      low,
      high,
      multiplier,
      resultLow: result.low - result.zeroPoint,
      resultHigh: result.high - result.zeroPoint,
    });
  });
}

/** The weights with those of constant channels cleared. */
export function clearedWeights(data: Int8Array, form: LayerForm, channels: readonly Channel[]): Int8Array {
  if (!channels.some((channel) => channel.constant)) return data;
  const weights = data.slice();
  channels.forEach((channel, c) => {
    for (let i = 0; channel.constant && i < form.taps; i++) weights[form.first(c) + i * form.step] = 0;
  });
  return weights;
}

/**
 * Prepares an int8 layer with constant symmetric weights, or gives undefined where the layer is another kind or
 * its sums could leave what the kernel's arithmetic holds.
 */
export function planLayer(node: Node, rule: MultiplierRule, form: LayerForm): LayerPlan | undefined {
  if (!isInt8Layer(node)) return undefined;
  const data = inputOf(node, 1).data as Int8Array;
  const channels = analyseLayer(node, rule, form, data);
  const bound = channels.reduce((most, channel) => Math.max(most, channel.bound), 0);
  const multipliers = channels.map((channel) => channel.multiplier);
  const small = smallIsProved(bound, multipliers);
  if (bound >= 2 ** 31) return undefined;
  const weights = clearedWeights(data, form, channels);
  const bias = Int32Array.from(channels, (channel) => channel.bias);
  const result = resultBounds(node, attributesOf<{ activation: Activation }>(node).activation);
  const tables = (k: KernelBuilder): QuantizedLayer => ({
    pairs: k.constant("bias_multiplier", "i32", padTable(interleaved(bias, multipliers), 2 * form.block)),
    shift: k.constant(
      "shift",
      "i8",
      padTable(
        Int8Array.from(multipliers, (m) => (small ? -m.shift - 1 : m.shift)),
        form.block,
      ),
    ),
    zeroPoint: small ? k.int("rounding", 1 + 2 * result.zeroPoint) : k.int("zero_point", result.zeroPoint),
    low: k.int("low", result.low),
    high: k.int("high", result.high),
    small,
    wholeRange: result.low === -128 && result.high === 127,
  });
  const constant = channels.filter((channel) => channel.constant).length;
  const name = small ? "short" : "as specified";
  return { weights, tables, notes: { weights: "bytes", channels: { [name]: channels.length - constant, ...(constant > 0 ? { constant } : {}) } } };
}

/** The stored result of a finished sum, with the channel's multiplier and shift as the tables hold them. */
export function finishSum(k: KernelBuilder, layer: QuantizedLayer, sum: Expr, multiplier: Expr, shift: Expr): Expr {
  if (!layer.small) return k.call(requantize, sum, multiplier, shift).add(layer.zeroPoint).clamp(layer.low, layer.high);
  const high = k.let("high", intrinsic("roundingHighMulSmall", sum, multiplier));
  const result = roundedShift(high, shift, layer.zeroPoint);
  return layer.wholeRange ? intrinsic("saturate8", result) : result.clamp(layer.low, layer.high);
}

/** The stored result of a channel's finished sum. */
export function requantizeLayer(k: KernelBuilder, layer: QuantizedLayer, sum: Expr, channel: Expr): Expr {
  return finishSum(k, layer, sum, layer.pairs.load(channel.mul(2).add(1)), layer.shift.load(channel));
}
