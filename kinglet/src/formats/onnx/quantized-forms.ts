import { elementCount, sameShape } from "../../base/index.ts";
import type { Quantization, Value } from "../../graph/index.ts";
import { quantizeMultiplier } from "../../ops/index.ts";
import type { Rule, Site } from "./site.ts";
import { windowPlan } from "./window.ts";

/**
 * Floating-point operators between DequantizeLinear and QuantizeLinear, as integer operators of Kinglet. Every value that is dequantized
 * has a twin: the same numbers as int8 (or int16) with their scale. Where an operator's inputs all have twins and its result is
 * quantized, it is written once more for the twins; the floating-point form is then used by nobody, and goes.
 */

/** The scale and zero point of a whole tensor. */
const one = (scale: number, zeroPoint: number): Quantization => ({ scales: [scale], zeroPoints: [zeroPoint], axis: 0 });

const sameScale = (a: Quantization | undefined, b: Quantization): boolean =>
  a !== undefined && a.scales[0] === b.scales[0] && a.zeroPoints[0] === b.zeroPoints[0];

/** A value on another scale. */
function rescaled(site: Site, x: Value, to: Quantization): Value {
  return sameScale(x.quantization, to) ? x : site.emit("quantize", [x], { dtype: x.dtype }, to);
}

/** Scales of a DequantizeLinear where they are known: one, or one for each index of an axis. */
export function knownQuantization(site: Site, x: Value, scale: Value, zeroPoint: Value | null): Quantization | null {
  if (scale.data === undefined || (zeroPoint !== null && zeroPoint.data === undefined) || scale.shape.length > 1) return null;
  const scales = Array.from<number | bigint, number>(scale.data, Number);
  const zeroPoints = zeroPoint === null ? scales.map(() => 0) : Array.from<number | bigint, number>(zeroPoint.data!, Number);
  if (zeroPoints.length !== scales.length || scales.some((s) => !(s > 0 && Number.isFinite(s)))) return null;
  return { scales, zeroPoints, axis: scales.length > 1 ? site.axis(site.int("axis", 1), x.shape.length) : 0 };
}

/** The int8 or int16 twin of stored numbers; unsigned bytes move by 128. Null for types that integer operators do not have. */
export function twinOf(site: Site, x: Value, q: Quantization): Value | null {
  const known = site.importer.twin(x);
  if (known && sameScale(known.quantization, shiftedFor(x, q))) return known;
  if (x.dtype === "int8" || x.dtype === "int16" || x.dtype === "int32") {
    if (sameScale(x.quantization, q)) return x;
    const { dtype, shape, data } = x;
    if (data !== undefined) return site.importer.builder.constant(`${x.name}_q`, { dtype, shape, quantization: q }, data);
    return site.emit("reshape", [x], { shape: [...shape] }, q);
  }
  if (x.dtype !== "uint8" || q.scales.length > 1) return null;
  const quantization = shiftedFor(x, q);
  if (x.data !== undefined) {
    const data = Int8Array.from(x.data as Uint8Array, (byte) => byte - 128);
    return site.importer.builder.constant(`${x.name}_q`, { dtype: "int8", shape: x.shape, quantization }, data);
  }
  const scaled = sameScale(x.quantization, q) ? x : site.emit("reshape", [x], { shape: [...x.shape] }, q);
  return site.emit("quantize", [scaled], { dtype: "int8" }, quantization);
}

function shiftedFor(x: Value, q: Quantization): Quantization {
  return x.dtype === "uint8" ? { ...q, zeroPoints: q.zeroPoints.map((zero) => zero - 128) } : q;
}

/** The bias of an integer layer, on the scale of its sums. */
function biasOf(site: Site, bias: Value | null, x: Value, w: Value): Value | null | undefined {
  if (bias === null) return null;
  const twin = site.importer.twin(bias);
  const scales = w.quantization!.scales.map((scale) => scale * x.quantization!.scales[0]!);
  const source = bias.data ?? null;
  const count = elementCount(bias.shape);
  if (twin?.data !== undefined && twin.dtype === "int32") {
    const given = twin.quantization!.scales;
    const fits = scales.every((scale, c) => Math.abs(scale / given[given.length > 1 ? c : 0]! - 1) < 1e-4);
    if (fits) return twin;
  }
  if (source === null) return undefined;
  const stored = Int32Array.from({ length: count }, (_, c) => Math.round(Number(source[c]) / scales[scales.length > 1 ? c : 0]!));
  return site.constant(stored, "int32", [count]);
}

/** Integer kernels take weights without zero points, whose scales run along the outputs. */
function isWeight(w: Value, axis: number): boolean {
  const q = w.quantization;
  return (
    w.data !== undefined && w.dtype === "int8" && q?.zeroPoints.every((zero) => zero === 0) === true && (q.scales.length === 1 || q.axis === axis)
  );
}

/** One operator for twins: gives the result on the scale `y`, or null where it has no integer form. */
type QuantizedRule = (site: Site, twins: readonly (Value | null)[], y: Quantization, float: Rule) => Value | null;

/** Runs the operator's own rule on the twins: for what moves numbers and does not compute with them. */
const moved: QuantizedRule = (site, [x], y, float) => {
  const result = float(site.withInputs([x!, ...site.inputs.slice(1)]));
  const value = Array.isArray(result) ? result[0] : (result as Value);
  return value?.quantization === undefined ? null : rescaled(site, value, y);
};

/** Whether numbers rounded to steps of `scale` and then to those of `y` lie within one step of numbers rounded to `y` alone. */
const losesNothing = (scale: number, y: Quantization): boolean => scale < 2 * y.scales[0]!;

/** The result of a function whose integer kernel has a scale of its own. */
const fixedScale =
  (op: string, scale: number, zeroPoint: number, attributes: Record<string, number> = {}): QuantizedRule =>
  (site, [x], y) =>
    x!.dtype === "int8" && losesNothing(scale, y) ? rescaled(site, site.emit(op, [x!], attributes, one(scale, zeroPoint)), y) : null;

const binary =
  (op: string): QuantizedRule =>
  (site, [a, b], y) =>
    a && b ? site.emit(op, [a, b], { activation: "none" }, y) : null;

const conv: QuantizedRule = (site, [x, w], y, float) => {
  if (x === null || !w || !isWeight(w, 0) || x!.shape.length > 4) return null;
  const bias = biasOf(site, site.optional(2), x!, w);
  if (bias === undefined || (bias !== null && x!.dtype === "int16")) return null;
  const result = float(site.withInputs([x!, w, bias], y));
  return result as Value;
};

/** MatMul and Gemm with constant weights. */
const dense: QuantizedRule = (site, [x, w], y) => {
  const gemm = site.node.op === "Gemm";
  const turned = gemm && site.int("transB", 0) !== 0;
  if (!x || !w || w.shape.length !== 2 || !isWeight(w, turned ? 0 : 1) || x.dtype === "int16") return null;
  if (gemm && (site.int("transA", 0) !== 0 || site.float("alpha", 1) !== 1 || site.float("beta", 1) !== 1)) return null;
  const bias = gemm ? biasOf(site, site.optional(2), x, w) : null;
  if (bias === undefined) return null;
  const q = w.quantization!;
  const weights = turned ? w : site.emit("transpose", [w], { permutation: [1, 0] }, { ...q, axis: 0 });
  if (bias !== null && elementCount(bias.shape) !== weights.shape[0]) return null;
  return site.emit(
    "fullyConnected",
    [x, weights, bias === null ? null : site.reshape(bias, [weights.shape[0]!])],
    { activation: "none", keepDims: true },
    y,
  );
};

const concat: QuantizedRule = (site, twins, y) => {
  const parts = twins.map((twin) => rescaled(site, twin!, y));
  const axis = site.axis(site.int("axis", 1), parts[0]!.shape.length);
  return parts.length === 1 ? parts[0]! : site.emit("concatenation", parts, { axis, activation: "none" }, y);
};

const globalAverage: QuantizedRule = (site, [x], y) => site.emit("mean", [x!], { axes: x!.shape.slice(2).map((_, d) => d + 2), keepDims: true }, y);

/** Integer pools keep their input's scale, on which an average may be coarse; a mean has a scale of its own. */
const averagePool: QuantizedRule = (site, twins, y, float) => {
  const x = twins[0]!;
  const sizes = x.shape.slice(2);
  const { kernel, before, after } = windowPlan(site, sizes, site.ints("kernel_shape") ?? []);
  if (sameShape(kernel, sizes) && [...before, ...after].every((pad) => pad === 0)) return globalAverage(site, twins, y, float);
  return losesNothing(x.quantization!.scales[0]!, y) ? moved(site, twins, y, float) : null;
};

const MOVES = ["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "MaxPool"];

/** What only moves dequantized numbers moves their twins as well. */
export function pairMoved(site: Site, rule: Rule, result: Value): void {
  const input = site.inputs[0];
  const twin = input ? site.importer.twin(input) : undefined;
  if (twin === undefined || twin.data !== undefined || !MOVES.includes(site.node.op) || twin.dtype === "int32") return;
  const moved = rule(site.withInputs([twin, ...site.inputs.slice(1)]));
  const value = Array.isArray(moved) ? moved[0] : (moved as Value);
  if (value?.quantization !== undefined) site.importer.pair(result, value);
}

const QUANTIZED: Readonly<Record<string, QuantizedRule>> = {
  Conv: conv,
  MatMul: dense,
  Gemm: dense,
  Add: binary("add"),
  Sub: binary("sub"),
  Mul: binary("mul"),
  Concat: concat,
  GlobalAveragePool: globalAverage,
  Relu: (site, [x], y) => site.emit("relu", [x!], {}, y),
  LeakyRelu: (site, [x], y) => site.emit("leakyRelu", [x!], { alpha: site.float("alpha", 0.01) }, y),
  Sigmoid: fixedScale("logistic", 1 / 256, -128),
  Tanh: fixedScale("tanh", 1 / 128, 0),
  Softmax: (site, twins, y, float) => {
    const last = twins[0]!.shape.length - 1;
    return site.axis(site.int("axis", site.version < 13 ? 1 : -1), last + 1) === last
      ? fixedScale("softmax", 1 / 256, -128, { beta: 1 })(site, twins, y, float)
      : null;
  },
  AveragePool: averagePool,
  ...Object.fromEntries(MOVES.map((op) => [op, moved])),
};

/** Which inputs must have twins: weights and biases are looked at by the rules. */
function dataInputs(site: Site): number {
  return site.node.op === "Concat" ? site.inputs.length : ["Add", "Sub", "Mul", "Conv", "MatMul", "Gemm"].includes(site.node.op) ? 2 : 1;
}

/** The quantized form of the operator that made `x`, where there is one: the int8 or int16 result on the scale `y`. */
export function quantizedForm(site: Site, x: Value, y: Quantization): Value | null {
  const made = site.importer.madeBy(x);
  if (made === undefined) return null;
  const rule = QUANTIZED[made.site.node.op];
  if (rule === undefined) return null;
  // An activation between a layer and its QuantizeLinear: the layer's own sums go onto the final scale, and are clamped there.
  const inner = made.site.inputs[0];
  if (made.site.node.op === "Relu" && inner && site.importer.twin(inner) === undefined) {
    const layer = quantizedForm(site, inner, y);
    return layer === null ? null : site.emit("relu", [layer], {}, y);
  }
  const twins = made.site.inputs.slice(0, dataInputs(made.site)).map((input) => (input === null ? null : (site.importer.twin(input) ?? null)));
  if (twins.some((twin) => twin === null) || quantizeMultiplier(y.scales[0]!).multiplier === 0) return null;
  const result = rule(made.site, twins, y, made.rule);
  return result !== null && result.quantization !== undefined ? result : null;
}
