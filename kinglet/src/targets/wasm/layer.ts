import { mapInto, type TypedArray } from "../../base/index.ts";
import type { Node, Value } from "../../graph/index.ts";
import { type Buffer, constant, type Expr, i32, type KernelBuilder, type Layout, vector, vectorLoad } from "../../loops/index.ts";
import { type Activation, attributesOf, floatBounds, inputOf, type MultiplierRule, outputOf, rangeOfDType, resultBounds } from "../../ops/index.ts";
import { planRequantization, type Requantization } from "./requantize.ts";
import type { ChannelReach } from "./rounding.ts";

/** Channels of one vector of sums. */
export const SUMS = 4;

export type Weights = Int8Array | Int16Array | Float32Array;

/** How bytes are multiplied: pairs of words of 16 bits, or groups of four bytes where an engine has that. */
export type ByteForm = "words" | "dots";

export function emptyLike(weights: Weights, length: number): Weights {
  if (weights instanceof Float32Array) return new Float32Array(length);
  return weights instanceof Int16Array ? new Int16Array(length) : new Int8Array(length);
}

/** The type that a table of weights has. */
export function weightType(weights: Weights): "i8" | "i16" | "f32" {
  if (weights instanceof Float32Array) return "f32";
  return weights instanceof Int16Array ? "i16" : "i8";
}

export function kernelName(operator: string, { group }: LayerMath): string {
  return `${operator}_${group === 1 ? "f32" : group === 2 ? "s8" : "u8"}_simd`;
}

/** What the tile kernels need to know of a layer's numbers: bytes through 16-bit products, or floats. */
export interface LayerMath {
  /** Elements of the depth that one multiplication takes: 4 bytes, 2 words of 16 bits, 1 float. */
  readonly group: 1 | 2 | 4;
  /** Weights in the order in which they are given, centred, of a type that holds them. */
  readonly weights: Weights;
  readonly sum: "i32x4" | "f32x4";
  readonly lanes: "i8x16" | "i16x8" | "f32x4";
  /** sum + x · w by lanes. */
  multiplyAdd(sum: Expr, x: Expr, w: Expr): Expr;
  epilogue(k: KernelBuilder, output: Buffer, layout: Layout): Epilogue;
}

/** What comes before and after a tile's multiplications. */
export interface Epilogue {
  /** What the sums of 4 · `vectors` channels start from. */
  start(channel: Expr, vectors: number): Expr[];
  /** Loads what the channels need, once, and gives what stores the results of one pixel. */
  finish(channel: Expr, vectors: number): (sums: readonly Expr[], at: Expr) => void;
}

/** Values that live in the arena and begin anew with every inference. */
export function isActivation(value: Value): boolean {
  return value.data === undefined && value.variable !== true;
}

function isByte(value: Value): boolean {
  return value.dtype === "int8" || value.dtype === "uint8";
}

function constantOrAbsent(value: Value | null | undefined, dtype: Value["dtype"]): boolean {
  return value === null || value === undefined || (value.data !== undefined && value.dtype === dtype);
}

/** Which weights belong to a channel: `first` of it, then `step` apart, `taps` of them. */
export interface WeightForm {
  readonly channels: number;
  readonly taps: number;
  readonly first: (channel: number) => number;
  readonly step: number;
}

function centredWeights(w: Value): Int16Array {
  const zero = w.quantization?.zeroPoints[0] ?? 0;
  const data = w.data as Int8Array;
  return mapInto(new Int16Array(data.length), data, (value) => value - zero);
}

/** All sums that a channel can reach with any input. */
function reachOf(
  bias: number,
  weights: Int16Array,
  form: WeightForm,
  channel: number,
  x: { low: number; high: number },
): { low: number; high: number } {
  let [low, high] = [bias, bias];
  for (let i = 0, at = form.first(channel); i < form.taps; i++, at += form.step) {
    const w = weights[at]!;
    low += w > 0 ? w * x.low : w * x.high;
    high += w > 0 ? w * x.high : w * x.low;
  }
  return { low, high };
}

function requantizationOf(node: Node, weights: Int16Array, form: WeightForm, rule: MultiplierRule): Requantization | undefined {
  const x = inputOf(node, 0);
  const zero = x.quantization!.zeroPoints[0]!;
  const range = rangeOfDType(x.dtype);
  const result = resultBounds(node, attributesOf<{ activation: Activation }>(node).activation);
  const given = node.inputs[2]?.data as Int32Array | undefined;
  const bias = Int32Array.from({ length: form.channels }, (_, c) => given?.[c] ?? 0);
  const multipliers = rule(node, form.channels);
  const reaches = multipliers.map((multiplier, c): ChannelReach => {
    const reach = reachOf(bias[c]!, weights, form, c, { low: range.low - zero, high: range.high - zero });
    return { ...reach, multiplier, resultLow: result.low - result.zeroPoint, resultHigh: result.high - result.zeroPoint };
  });
  return planRequantization(bias, reaches);
}

function clearChannels(weights: Int16Array, form: WeightForm, cleared: readonly boolean[]): void {
  cleared.forEach((clear, c) => {
    for (let i = 0; clear && i < form.taps; i++) weights[form.first(c) + i * form.step] = 0;
  });
}

function byteEpilogue(k: KernelBuilder, node: Node, { bias: starts, tables }: Requantization, output: Buffer, layout: Layout): Epilogue {
  const bounds = storedBounds(resultBounds(node, attributesOf<{ activation: Activation }>(node).activation), layout);
  const channels = starts.length;
  const bias = k.constant("bias", "i32", padTable(starts));
  const { load, apply } = tables(k, bounds.zeroPoint);
  return {
    start: (channel, vectors) => Array.from({ length: vectors }, (_, v) => k.let("bias", vectorLoad("i32x4", bias, channel.add(SUMS * v)))),
    finish: (channel, vectors) => {
      const loaded = Array.from({ length: vectors }, (_, v) => load(channel.add(SUMS * v)));
      return (sums, at) => {
        for (let v = 0; v < vectors; v += 2) {
          const [a, b] = [v, v + 1].map((n) => apply(sums[n]!, loaded[n]!));
          const result = k.let("result", clampBytes(k, vector("i16x8.narrow_i32x4_s", [a!, b!]), bounds, layout));
          storeBytes(k, output, at.add(SUMS * v), result, layout, Math.min(8, channels));
        }
      };
    },
  };
}

function padTable(table: Int32Array): Int32Array {
  const result = new Int32Array(Math.ceil(table.length / 8) * 8);
  result.set(table);
  return result;
}

/** The bounds of a result, and its zero point. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
  readonly zeroPoint: number;
}

/** Bounds as the numbers that a layout stores. */
export function storedBounds({ low, high, zeroPoint }: Bounds, layout: Layout): Bounds {
  return { low: low - layout.zeroPoint, high: high - layout.zeroPoint, zeroPoint: zeroPoint - layout.zeroPoint };
}

/** What the narrowing of a store cuts off by itself. */
const STORED_RANGE: Readonly<Partial<Record<Layout["type"], readonly [low: number, high: number]>>> = { i8: [-128, 127], u8: [0, 255] };

/** Results, in stored numbers, within their bounds as soon as they are stored. */
export function clampBytes(k: KernelBuilder, x: Expr, { low, high }: Bounds, layout: Layout): Expr {
  const bound = (name: string, value: number): Expr => vector("i16x8.splat", [k.int(name, value)]);
  const [least, most] = STORED_RANGE[layout.type] ?? [-Infinity, Infinity];
  const raised = low <= least ? x : vector("i16x8.max_s", [x, bound("low", low)]);
  return high >= most ? raised : vector("i16x8.min_s", [raised, bound("high", high)]);
}

/** Eight elements of a tensor of bytes, less their zero point. */
export function loadCentred(k: KernelBuilder, buffer: Buffer, at: Expr, { type, padding }: Layout): Expr {
  if (type === "i16") return vectorLoad("i16x8", buffer, at);
  return vector("i16x8.sub", [vectorLoad("i16x8", buffer, at, "widen8u"), vector("i16x8.splat", [k.int(`${buffer.name}_zero`, padding)])]);
}

/** Stores eight results, or the first `count` of them, as the layout has them. */
export function storeBytes(k: KernelBuilder, output: Buffer, at: Expr, result: Expr, layout: Layout, count: number): void {
  const wide = layout.type === "i16";
  const narrow = layout.type === "u8" ? "i8x16.narrow_i16x8_u" : "i8x16.narrow_i16x8_s";
  if (count >= 8) {
    const value = wide ? result : vector(narrow, [result, result]);
    k.emit({ kind: "vectorStore", buffer: output, index: at, value, form: wide ? "full" : "low8" });
    return;
  }
  // One by one nothing is narrowed, so nothing is cut off by itself.
  const least = layout.type === "u8" ? 0 : -128;
  for (let lane = 0; lane < count; lane++) {
    const value = vector("i16x8.extract_lane_s", [result], lane);
    output.store(at.add(lane), wide ? value : value.clamp(i32(least), i32(least + 255)));
  }
}

/** Proofs take a while, and a network may be lowered more than once. */
const PROVED = new WeakMap<Node, { readonly plan: Requantization | undefined }>();

function provedOnce(node: Node, prove: () => Requantization | undefined): Requantization | undefined {
  const known = PROVED.get(node) ?? { plan: prove() };
  PROVED.set(node, known);
  return known.plan;
}

/** The bytes of a layer, or undefined where it is another kind or the definition's arithmetic is not proved to be met. */
export function byteMath(node: Node, weightForm: WeightForm, rule: MultiplierRule, form: ByteForm): LayerMath | undefined {
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  if (!isByte(x) || !isByte(y) || !isByte(w) || !isActivation(x) || w.data === undefined || !constantOrAbsent(node.inputs[2], "int32"))
    return undefined;
  const zeros = w.quantization?.zeroPoints ?? [];
  if (attributesOf<{ activation: Activation }>(node).activation === "tanh" || !zeros.every((zero) => zero === zeros[0])) return undefined;
  const weights = centredWeights(w);
  const requantization = provedOnce(node, () => requantizationOf(node, weights, weightForm, rule));
  if (requantization === undefined) return undefined;
  clearChannels(weights, weightForm, requantization.cleared);
  return form === "words" ? wordMath(node, weights, requantization) : dotMath(node, weights, weightForm, requantization);
}

function wordMath(node: Node, weights: Int16Array, requantization: Requantization): LayerMath {
  return {
    group: 2,
    weights,
    sum: "i32x4",
    lanes: "i16x8",
    multiplyAdd: (sum, a, b) => vector("i32x4.add", [sum, vector("i32x4.dot_i16x8_s", [a, b])]),
    epilogue: (k, output, layout) => byteEpilogue(k, node, requantization, output, layout),
  };
}

/** Inputs are not centred, which takes the same number off a channel's sum for all of them, padding included. */
function dotMath(node: Node, weights: Int16Array, form: WeightForm, requantization: Requantization): LayerMath | undefined {
  if (!weights.every((w) => w >= -128 && w <= 127)) return undefined;
  const x = inputOf(node, 0);
  const zero = x.quantization!.zeroPoints[0]! - rangeOfDType(x.dtype).low;
  const bias = requantization.bias.map((start, c) => {
    const all = Array.from({ length: form.taps }, (_, i) => weights[form.first(c) + i * form.step]!);
    return start - zero * all.reduce((sum, w) => sum + w, 0);
  });
  return {
    group: 4,
    weights: new Int8Array(weights),
    sum: "i32x4",
    lanes: "i8x16",
    multiplyAdd: (sum, a, b) => vector("i32x4.add_dot_u8_s8", [a, b, sum]),
    epilogue: (k, output, layout) => byteEpilogue(k, node, { ...requantization, bias }, output, layout),
  };
}

function floatEpilogue(k: KernelBuilder, node: Node, output: Buffer): Epilogue {
  const channels = outputOf(node).shape.at(-1)!;
  const given = node.inputs[2]?.data as Float32Array | undefined;
  const table = new Float32Array(Math.ceil(channels / 8) * 8);
  if (given !== undefined) table.set(given);
  const bias = given === undefined ? undefined : k.constant("bias", "f32", table);
  const finishOne = (sum: Expr, loaded: Expr | undefined): Expr =>
    clampFloats(k, node, loaded === undefined ? sum : vector("f32x4.add", [sum, loaded]));
  return {
    start: (_, vectors) => Array.from({ length: vectors }, () => constant(0, "f32x4")),
    finish: (channel, vectors) => {
      const loaded = Array.from({ length: vectors }, (_, v) => bias && k.let("bias", vectorLoad("f32x4", bias, channel.add(SUMS * v))));
      return (sums, at) => sums.forEach((sum, v) => storeFloats(k, output, at.add(SUMS * v), finishOne(sum, loaded[v]), channels - SUMS * v));
    },
  };
}

/** The loop language's clamp: `pmax` and `pmin` with their operands turned round choose alike for NaN and for zeros. */
export function clampFloats(k: KernelBuilder, node: Node, x: Expr): Expr {
  const { low, high } = floatBounds(attributesOf<{ activation: Activation }>(node).activation);
  const bound = (name: string, value: number): Expr => vector("f32x4.splat", [k.float(name, value)]);
  if (low === -Infinity && high === Infinity) return x;
  return vector("f32x4.pmin", [bound("high", high), vector("f32x4.pmax", [bound("low", low), x])]);
}

/** Stores four results, or the first `count`. */
export function storeFloats(k: KernelBuilder, output: Buffer, at: Expr, value: Expr, count: number): void {
  if (count >= SUMS) k.emit({ kind: "vectorStore", buffer: output, index: at, value, form: "full" });
  const named = count < SUMS && count > 0 ? k.let("result", value) : value;
  for (let lane = 0; count < SUMS && lane < count; lane++) output.store(at.add(lane), vector("f32x4.extract_lane", [named], lane));
}

function allFinite(data: TypedArray): boolean {
  return (data as Float32Array).every((value) => Number.isFinite(value));
}

/**
 * The floats of a layer: sums run over the depth in the plain loops' order, so they have the same bits. Padding adds
 * products with 0, which change nothing while all weights are finite.
 */
export function floatMath(node: Node): LayerMath | undefined {
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const floats = x.dtype === "float32" && w.dtype === "float32" && y.dtype === "float32";
  if (!floats || !isActivation(x) || w.data === undefined || !constantOrAbsent(node.inputs[2], "float32") || !allFinite(w.data)) return undefined;
  return {
    group: 1,
    weights: w.data as Float32Array,
    sum: "f32x4",
    lanes: "f32x4",
    multiplyAdd: (sum, a, b) => vector("f32x4.multiply_add", [a, b, sum]),
    epilogue: (k, output) => floatEpilogue(k, node, output),
  };
}
