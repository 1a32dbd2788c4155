import { elementCount, sameShape, mapInto } from "../../base/index.ts";
import type { Attributes, Quantization, Value } from "../../graph/index.ts";
import { quantizeMultiplier } from "../../ops/index.ts";
import type { Maker } from "./importer.ts";
import { boundedOp } from "./ops-elementwise.ts";
import { axesOf } from "./ops-reduce.ts";
import { resultList, type Rule, type Site } from "./site.ts";
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
  const { dtype, shape, data } = x;
  const scaled =
    data !== undefined
      ? site.importer.builder.constant(`${x.name}_q`, { dtype, shape, quantization: q }, data)
      : sameScale(x.quantization, q)
        ? x
        : site.emit("reshape", [x], { shape: [...shape] }, q);
  const quantization = shiftedFor(x, q);
  const twin =
    data === undefined
      ? site.emit("quantize", [scaled], { dtype: "int8" }, quantization)
      : site.importer.builder.constant(
          `${x.name}_q`,
          { dtype: "int8", shape, quantization },
          mapInto(new Int8Array(data.length), data as Uint8Array, (byte) => byte - 128),
        );
  site.importer.markSigned(twin, scaled);
  return twin;
}

const shifted = (q: Quantization, by: number): Quantization => ({ ...q, zeroPoints: q.zeroPoints.map((zero) => zero + by) });

function shiftedFor(x: Value, q: Quantization): Quantization {
  return x.dtype === "uint8" ? shifted(q, -128) : q;
}

/** The unsigned bytes behind a twin, or made from it. */
function asUnsigned(site: Site, twin: Value): Value {
  return site.importer.unsignedOf(twin) ?? site.emit("quantize", [twin], { dtype: "uint8" }, shifted(twin.quantization!, 128));
}

/** The bias of an integer layer, on the scale of its sums: 64 bits wide beside inputs of 16. Undefined where it is no constant. */
function biasOf(site: Site, bias: Value | null, x: Value, w: Value): Value | null | undefined {
  if (bias === null) return null;
  const twin = site.importer.twin(bias);
  const scales = w.quantization!.scales.map((scale) => scale * x.quantization!.scales[0]!);
  const dtype = x.dtype === "int16" ? "int64" : "int32";
  if (twin?.data !== undefined && twin.dtype === "int32") {
    const given = twin.quantization!.scales;
    const fits = scales.every((scale, c) => Math.abs(scale / given[given.length > 1 ? c : 0]! - 1) < 1e-4);
    if (fits && dtype === "int32") return twin;
    if (fits) return biasConstant(site, Array.from<number | bigint, number>(twin.data, Number), dtype, twin.quantization);
  }
  if (bias.data === undefined) return undefined;
  const stored = Array.from<number | bigint, number>(bias.data, (number, c) => Math.round(Number(number) / scales[scales.length > 1 ? c : 0]!));
  return biasConstant(site, stored, dtype);
}

function biasConstant(site: Site, numbers: readonly number[], dtype: "int32" | "int64", quantization?: Quantization): Value {
  const data = dtype === "int64" ? BigInt64Array.from(numbers, BigInt) : Int32Array.from(numbers);
  const type = { dtype, shape: [numbers.length], ...(quantization === undefined ? {} : { quantization }) };
  return site.importer.builder.constant("bias", type, data);
}

/** What a layer of sums works with. */
interface Layer {
  readonly x: Value;
  readonly w: Value;
  readonly bias: Value | null;
  readonly y: Quantization;
}

/** Signed weights have no zero point and scales along the outputs; unsigned ones, which have one scale, want unsigned inputs and outputs. */
function layerOf(site: Site, x: Value, w: Value, axis: number, bias: Value | null, y: Quantization): Layer | null {
  if (w.data === undefined || w.dtype !== "int8" || w.quantization === undefined) return null;
  const { scales, zeroPoints, axis: along } = w.quantization;
  const symmetric = zeroPoints.every((zero) => zero === 0);
  if (symmetric && scales.length > 1 && along !== axis) return null;
  const unsigned = site.importer.unsignedOf(w);
  if (!symmetric && (unsigned === undefined || x.dtype !== "int8")) return null;
  const stored = biasOf(site, bias, x, w);
  if (stored === undefined) return null;
  if (symmetric) return { x, w, bias: stored, y };
  return { x: asUnsigned(site, x), w: unsigned!, bias: stored, y: shifted(y, 128) };
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
  (site, [x], y) => {
    const quantization = x!.dtype === "int16" ? one(1 / 32768, 0) : one(scale, x!.dtype === "uint8" ? zeroPoint + 128 : zeroPoint);
    return losesNothing(quantization.scales[0]!, y) ? rescaled(site, site.emit(op, [x!], attributes, quantization), y) : null;
  };

/** For rows of the last dimension; before version 13 a row was all dimensions from one on. */
const alongLast =
  (rule: QuantizedRule): QuantizedRule =>
  (site, twins, y, float) => {
    const rank = twins[0]!.shape.length;
    return site.axis(site.int("axis", site.version < 13 ? 1 : -1), rank) === rank - 1 ? rule(site, twins, y, float) : null;
  };

const binary =
  (op: string): QuantizedRule =>
  (site, [a, b], y) =>
    a && b ? site.emit(op, [a, b], { activation: "none" }, y) : null;

/** Scales of the weights run along the outputs, which a transposed convolution has second. */
const conv =
  (axis: number): QuantizedRule =>
  (site, [x, w], y, float) => {
    if (!x || !w || x.shape.length > 4 || (axis === 1 && site.int("group", 1) !== 1)) return null;
    const layer = layerOf(site, x, w, axis, site.optional(2), y);
    return layer === null ? null : (float(site.withInputs([layer.x, layer.w, layer.bias], layer.y)) as Value);
  };

/** MatMul and Gemm with constant weights; MatMul of two values. */
const dense: QuantizedRule = (site, [x, w], y) => {
  const gemm = site.node.op === "Gemm";
  const turned = gemm && site.int("transB", 0) !== 0;
  if (!x || !w) return null;
  if (!gemm && w.data === undefined) return site.emit("batchMatmul", [x, w], { adjX: false, adjY: false }, y);
  if (w.shape.length !== 2 || (gemm && (site.int("transA", 0) !== 0 || site.float("alpha", 1) !== 1 || site.float("beta", 1) !== 1))) return null;
  const layer = layerOf(site, x, w, turned ? 0 : 1, gemm ? site.optional(2) : null, y);
  if (layer === null) return null;
  const weights = turned ? layer.w : site.emit("transpose", [layer.w], { permutation: [1, 0] }, { ...layer.w.quantization!, axis: 0 });
  const [outputs] = weights.shape as [number];
  if (layer.bias !== null && elementCount(layer.bias.shape) !== outputs) return null;
  const bias = layer.bias === null ? null : site.importer.reshape(layer.bias, [outputs]);
  return site.emit("fullyConnected", [layer.x, weights, bias], { activation: "none", keepDims: true }, layer.y);
};

const concat: QuantizedRule = (site, twins, y) => {
  const parts = twins.map((twin) => rescaled(site, twin!, y));
  const axis = site.axis(site.int("axis", 1), parts[0]!.shape.length);
  return parts.length === 1 ? parts[0]! : site.emit("concatenation", parts, { axis, activation: "none" }, y);
};

const globalAverage: QuantizedRule = (site, [x], y) => site.emit("mean", [x!], { axes: x!.shape.slice(2).map((_, d) => d + 2), keepDims: true }, y);

/** Integer pools keep their input's scale, on which an average may be coarse for another one; a mean has a scale of its own. */
const averagePool: QuantizedRule = (site, twins, y, float) => {
  const x = twins[0]!;
  if (sameScale(x.quantization, y)) return moved(site, twins, y, float);
  const sizes = x.shape.slice(2);
  const { kernel, before, after } = windowPlan(site, sizes, site.ints("kernel_shape") ?? []);
  if (sameShape(kernel, sizes) && [...before, ...after].every((pad) => pad === 0)) return globalAverage(site, twins, y, float);
  return losesNothing(x.quantization!.scales[0]!, y) ? moved(site, twins, y, float) : null;
};

const reduced =
  (op: string): QuantizedRule =>
  (site, [x], y) => {
    const axes = axesOf(site);
    return axes === null ? null : site.emit(op, [x!], { axes: axes.sort((a, b) => a - b), keepDims: site.int("keepdims", 1) !== 0 }, y);
  };

/** The result has the scale of its inputs. */
const chosen =
  (op: string, attributes: (site: Site) => Attributes | null = () => ({})): QuantizedRule =>
  (site, twins, y) => {
    const given = attributes(site);
    const inputs = twins.map((twin) => rescaled(site, twin!, y));
    return given === null ? null : site.emit(op, inputs, given, y);
  };

const unary =
  (op: string, attributes: (site: Site) => Attributes | null = () => ({})): QuantizedRule =>
  (site, [x], y) => {
    const given = attributes(site);
    return given === null ? null : site.emit(op, [x!], given, y);
  };

/** Numbers go through a table or a clamp: the scale of the result is its own. */
const bounded: QuantizedRule = (site, [x], y) => {
  const op = boundedOp(site);
  return op === undefined ? null : site.emit(op, [x!], {}, y);
};

/** Operators that give the numbers of their first input, at other places. */
const MOVES = new Set(
  (
    "Reshape Flatten Squeeze Unsqueeze Transpose MaxPool Slice Split Expand Tile Pad DepthToSpace SpaceToDepth " +
    "Gather GatherElements GatherND Compress ReverseSequence"
  ).split(" "),
);

/** What only moves dequantized numbers moves their twins as well. */
export function pairMoved(site: Site, rule: Rule, results: readonly (Value | null)[]): void {
  const input = site.inputs[0];
  const twin = input ? site.importer.twin(input) : undefined;
  if (twin === undefined || twin.data !== undefined || !MOVES.has(site.node.op) || twin.dtype === "int32" || results.includes(input!)) return;
  const run = (x: Value): readonly (Value | null)[] => resultList(rule(site.withInputs([x, ...site.inputs.slice(1)])));
  const unsigned = site.importer.unsignedOf(twin);
  const bytes = unsigned === undefined ? [] : run(unsigned);
  run(twin).forEach((value, i) => {
    const result = results[i];
    if (value?.quantization === undefined || !result) return;
    site.importer.pair(result, value);
    if (bytes[i]) site.importer.markSigned(value, bytes[i]);
  });
}

const QUANTIZED: Readonly<Record<string, QuantizedRule>> = {
  Conv: conv(0),
  ConvTranspose: conv(1),
  MatMul: dense,
  Gemm: dense,
  Add: binary("add"),
  Sub: binary("sub"),
  Mul: binary("mul"),
  Div: binary("div"),
  Max: chosen("maximum"),
  Min: chosen("minimum"),
  Concat: concat,
  GlobalAveragePool: globalAverage,
  AveragePool: averagePool,
  Resize: moved,
  ReduceMean: reduced("mean"),
  ReduceSum: reduced("sum"),
  ReduceMax: (site, [x], y, float) => reduced("reduceMax")(site, [rescaled(site, x!, y)], y, float),
  ReduceMin: (site, [x], y, float) => reduced("reduceMin")(site, [rescaled(site, x!, y)], y, float),
  Relu: bounded,
  Clip: bounded,
  LeakyRelu: unary("leakyRelu", (site) => ({ alpha: site.float("alpha", 0.01) })),
  HardSwish: unary("hardSwish"),
  Elu: unary("elu", (site) => (site.float("alpha", 1) === 1 ? {} : null)),
  Gelu: unary("gelu", (site) => ({ approximate: site.text("approximate", "none") === "tanh" })),
  Exp: unary("exp"),
  Log: unary("log"),
  Abs: unary("abs"),
  PRelu: (site, [x, slope], y) => (x && slope?.data !== undefined ? site.emit("prelu", [x, slope], {}, y) : null),
  Sigmoid: fixedScale("logistic", 1 / 256, -128),
  Tanh: fixedScale("tanh", 1 / 128, 0),
  Softmax: alongLast(fixedScale("softmax", 1 / 256, -128, { beta: 1 })),
  LogSoftmax: alongLast(fixedScale("logSoftmax", 16 / 256, 127)),
};

/** Inputs that are numbers of the network and need twins; the rules look at the others. */
const TWO = new Set(["Add", "Sub", "Mul", "Div", "Max", "Min", "Conv", "ConvTranspose", "MatMul", "Gemm", "PRelu"]);

function dataInputs(site: Site): number {
  return site.node.op === "Concat" ? site.inputs.length : TWO.has(site.node.op) ? 2 : 1;
}

/** Operators of which Kinglet has no form for integers of 16 bits. */
const BYTES_ONLY = new Set(["Div", "Elu", "HardSwish", "LogSoftmax", "PRelu"]);

/** Layers of sums, which work with the signs that their weights have. */
const LAYERS = new Set(["Conv", "ConvTranspose", "MatMul", "Gemm"]);

/** All values as the unsigned bytes that they come from, or null where one does not. */
function allUnsigned(site: Site, twins: readonly (Value | null)[]): Value[] | null {
  const bytes = twins.flatMap((twin) => (twin === null ? [] : (site.importer.unsignedOf(twin) ?? [])));
  return bytes.length === twins.length ? bytes : null;
}

/** Operators between a layer and its QuantizeLinear; a file of nothing else shall not be written once for each of them. */
const MOST_BETWEEN = 8;

/** The operator that clamps or moves a layer's numbers, for the layer's integers; undefined for any other. */
function behindLayer({ site, rule }: Maker): ((layer: Value) => Value | null) | undefined {
  const clamp = boundedOp(site);
  if (clamp !== undefined) return (layer) => site.emit(clamp, [layer], {}, layer.quantization);
  if (!MOVES.has(site.node.op) || site.node.outputs.length > 1) return undefined;
  return (layer) => resultList(rule(site.withInputs([layer, ...site.inputs.slice(1)])))[0] ?? null;
}

/**
 * The quantized form of the operator that made `x`, where there is one: the int8 or int16 result on the scale `y`. Where unsigned bytes
 * are asked for and all that the operator reads are such, the result is, too, on that scale moved by 128.
 */
export function quantizedForm(site: Site, x: Value, y: Quantization, unsigned: boolean, between = 0): Value | null {
  const known = site.importer.twin(x);
  if (known !== undefined && known.data === undefined && known.dtype !== "int32") {
    const bytes = unsigned ? site.importer.unsignedOf(known) : undefined;
    return bytes === undefined ? rescaled(site, known, y) : rescaled(site, bytes, shifted(y, 128));
  }
  const made = site.importer.madeBy(x);
  if (made === undefined || quantizeMultiplier(y.scales[0]!).multiplier === 0) return null;
  // What only clamps or moves numbers between a layer and its QuantizeLinear: the layer's sums go onto the final scale before that.
  const inner = made.site.inputs[0];
  const behind = behindLayer(made);
  if (behind !== undefined && inner && site.importer.twin(inner) === undefined) {
    const layer = between < MOST_BETWEEN ? quantizedForm(site, inner, y, unsigned, between + 1) : null;
    return layer === null ? null : quantizedOnly(behind(layer));
  }
  const twins = made.site.inputs.slice(0, dataInputs(made.site)).map((input) => (input === null ? null : (site.importer.twin(input) ?? null)));
  if (twins.some((twin) => twin === null || (twin.dtype === "int16" && BYTES_ONLY.has(made.site.node.op)))) return null;
  const rule = QUANTIZED[made.site.node.op];
  if (rule === undefined) return null;
  const bytes = unsigned && !LAYERS.has(made.site.node.op) ? allUnsigned(site, twins) : null;
  const result = bytes === null ? rule(made.site, twins, y, made.rule) : rule(made.site, bytes, shifted(y, 128), made.rule);
  return quantizedOnly(result);
}

const quantizedOnly = (result: Value | null): Value | null => (result?.quantization === undefined ? null : result);
