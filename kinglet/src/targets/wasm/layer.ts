import type { TypedArray } from "../../base/index.ts";
import type { Node, Value } from "../../graph/index.ts";
import { type Buffer, constant, type Expr, type KernelBuilder, type Layout, vector, vectorLoad } from "../../loops/index.ts";
import { type Activation, attributesOf, floatBounds, inputOf, type MultiplierRule, outputOf, rangeOfDType, resultBounds } from "../../ops/index.ts";
import { planRequantization, type Requantization } from "./requantize.ts";
import type { ChannelReach } from "./rounding.ts";

/** Channels of one vector of sums. */
export const SUMS = 4;

/** What the tile kernels need to know of a layer's numbers: bytes through 16-bit products, or floats. */
export interface LayerMath {
  /** Elements of the depth that one multiplication takes. */
  readonly pair: 1 | 2;
  /** Weights in the order in which they are given, centred, of a type that holds them. */
  readonly weights: Int16Array | Float32Array;
  readonly sum: "i32x4" | "f32x4";
  readonly lanes: "i16x8" | "f32x4";
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
  return Int16Array.from(w.data as Int8Array, (value) => value - zero);
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

function byteEpilogue(k: KernelBuilder, node: Node, requantization: Requantization, output: Buffer, layout: Layout): Epilogue {
  const bounds = resultBounds(node, attributesOf<{ activation: Activation }>(node).activation);
  const channels = requantization.bias.length;
  const bias = k.constant("bias", "i32", padTable(requantization.bias));
  const { load, apply } = requantization.tables(k);
  return {
    start: (channel, vectors) => Array.from({ length: vectors }, (_, v) => k.let("bias", vectorLoad("i32x4", bias, channel.add(SUMS * v)))),
    finish: (channel, vectors) => {
      const loaded = Array.from({ length: vectors }, (_, v) => load(channel.add(SUMS * v)));
      return (sums, at) => {
        for (let v = 0; v < vectors; v += 2) {
          const [a, b] = [v, v + 1].map((n) => apply(sums[n]!, loaded[n]!));
          const result = k.let("result", clampBytes(k, vector("i16x8.narrow_i32x4_s", [a!, b!]), bounds));
          storeBytes(k, output, at.add(SUMS * v), result, { layout, zeroPoint: bounds.zeroPoint, count: Math.min(8, channels) });
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

/** Centred results within the bounds of the stored ones. */
export function clampBytes(k: KernelBuilder, x: Expr, { low, high, zeroPoint }: { low: number; high: number; zeroPoint: number }): Expr {
  const bound = (name: string, value: number): Expr => vector("i16x8.splat", [k.int(name, value - zeroPoint)]);
  return vector("i16x8.min_s", [vector("i16x8.max_s", [x, bound("low", low)]), bound("high", high)]);
}

/** Stores eight centred results, or the first `count` of them, as the layout has them. */
export function storeBytes(
  k: KernelBuilder,
  output: Buffer,
  at: Expr,
  result: Expr,
  { layout, zeroPoint, count }: { layout: Layout; zeroPoint: number; count: number },
): void {
  const centred = layout.type === "i16";
  const stored = centred ? result : k.let("stored", vector("i16x8.add", [result, vector("i16x8.splat", [k.int("zero_point", zeroPoint)])]));
  if (count < 8) {
    for (let lane = 0; lane < count; lane++) output.store(at.add(lane), vector("i16x8.extract_lane_s", [stored], lane));
    return;
  }
  const narrow = layout.type === "u8" ? "i8x16.narrow_i16x8_u" : "i8x16.narrow_i16x8_s";
  const value = centred ? stored : vector(narrow, [stored, stored]);
  k.emit({ kind: "vectorStore", buffer: output, index: at, value, form: centred ? "full" : "low8" });
}

/** Proofs take a while, and a network may be lowered more than once. */
const PROVED = new WeakMap<Node, { readonly plan: Requantization | undefined }>();

function provedOnce(node: Node, prove: () => Requantization | undefined): Requantization | undefined {
  const known = PROVED.get(node) ?? { plan: prove() };
  PROVED.set(node, known);
  return known.plan;
}

/** The bytes of a layer, or undefined where it is another kind or the definition's arithmetic is not proved to be met. */
export function byteMath(node: Node, form: WeightForm, rule: MultiplierRule): LayerMath | undefined {
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  if (!isByte(x) || !isByte(y) || !isByte(w) || !isActivation(x) || w.data === undefined || !constantOrAbsent(node.inputs[2], "int32"))
    return undefined;
  const zeros = w.quantization?.zeroPoints ?? [];
  if (attributesOf<{ activation: Activation }>(node).activation === "tanh" || !zeros.every((zero) => zero === zeros[0])) return undefined;
  const weights = centredWeights(w);
  const requantization = provedOnce(node, () => requantizationOf(node, weights, form, rule));
  if (requantization === undefined) return undefined;
  clearChannels(weights, form, requantization.cleared);
  return {
    pair: 2,
    weights,
    sum: "i32x4",
    lanes: "i16x8",
    multiplyAdd: (sum, a, b) => vector("i32x4.add", [sum, vector("i32x4.dot_i16x8_s", [a, b])]),
    epilogue: (k, output, layout) => byteEpilogue(k, node, requantization, output, layout),
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
    pair: 1,
    weights: w.data as Float32Array,
    sum: "f32x4",
    lanes: "f32x4",
    multiplyAdd: (sum, a, b) => vector("f32x4.multiply_add", [a, b, sum]),
    epilogue: (k, output) => floatEpilogue(k, node, output),
  };
}
