import { elementCount } from "../../base/index.ts";
import type { Quantization, Value } from "../../graph/index.ts";
import type { ElementType } from "./elements.ts";
import { add, clip, compare, div, mul, reduce, select, sub } from "./math.ts";
import { castTo } from "./ops-constant.ts";
import { ELEMENTWISE } from "./ops-elementwise.ts";
import { MATRIX, matmul } from "./ops-matrix.ts";
import { MOVEMENT } from "./ops-movement.ts";
import { POOL } from "./ops-pool.ts";
import { REDUCE } from "./ops-reduce.ts";
import { windowPlan } from "./window.ts";
import { CONV, convOf } from "./ops-conv.ts";
import { knownQuantization, quantizedForm, twinOf } from "./quantized-forms.ts";
import type { Rule, Site } from "./site.ts";
import { elementType } from "./tensor.ts";

/** Scales (or zero points) in the shape in which they broadcast over x: one, one for each index of an axis, or one for each block. */
function spread(site: Site, x: Value, scale: Value): Value {
  if (elementCount(scale.shape) === 1) return site.reshape(scale, []);
  const axis = site.axis(site.int("axis", 1), x.shape.length);
  if (scale.shape.length === 1)
    return site.reshape(
      scale,
      x.shape.map((_, d) => (d === axis ? scale.shape[0]! : 1)),
    );
  const block = site.int("block_size", 0);
  if (block < 1) return scale;
  const wide = site.emit("broadcastTo", [site.reshape(scale, [...scale.shape.slice(0, axis + 1), 1, ...scale.shape.slice(axis + 1)])], {
    shape: [...scale.shape.slice(0, axis + 1), block, ...scale.shape.slice(axis + 1)],
  });
  const joined = site.reshape(
    wide,
    scale.shape.map((dim, d) => (d === axis ? dim * block : dim)),
  );
  if (joined.shape[axis] === x.shape[axis]) return joined;
  return site.emit("slice", [joined], { begin: x.shape.map(() => 0), size: [...x.shape] });
}

const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
};

function rangeOf(site: Site, element: ElementType): readonly [number, number] {
  return element.range ?? RANGES[element.name] ?? site.unsupported(`quantization to ${element.name} is not supported`);
}

/** round(x / scale) + zero point, ties to even, held within the type. */
function quantized(site: Site, x: Value, scale: Value, zeroPoint: Value | null, element: ElementType): Value {
  const ratio = div(site, x, scale);
  if (element.float !== undefined) return castTo(site, ratio, element, true);
  const rounded = site.emit("round", [ratio]);
  const [low, high] = rangeOf(site, element);
  const moved = zeroPoint === null ? rounded : add(site, rounded, site.cast(zeroPoint, "float32"));
  return site.importer.mark(site.cast(clip(site, moved, low, high), element.dtype), element);
}

/** (x − zero point) · scale */
function dequantized(site: Site, x: Value, scale: Value, zeroPoint: Value | null): Value {
  const float = site.cast(x, "float32");
  return mul(site, zeroPoint === null ? float : sub(site, float, site.cast(zeroPoint, "float32")), scale);
}

/** What a QuantizeLinear does with `x`: by an integer operator where what made it has one, else by plain arithmetic. */
function quantizedTo(site: Site, x: Value, scale: Value, zeroPoint: Value | null, element: ElementType): Value {
  const form = integerForm(site, x, scale, zeroPoint, element);
  if (form !== null) return form;
  const float = site.cast(x, "float32");
  const q = knownQuantization(site, x, scale, zeroPoint);
  if (q !== null && q.scales.length === 1 && x.data === undefined && ["int8", "uint8", "int16"].includes(element.name))
    return stored(site, float, q, element);
  return quantized(site, float, spread(site, float, scale), zeroPoint === null ? null : spread(site, float, zeroPoint), element);
}

/** Numbers on one scale, as Kinglet's own operator stores them; the twin of unsigned bytes is what the file's type is made from. */
function stored(site: Site, x: Value, q: Quantization, element: ElementType): Value {
  const y = site.emit("quantize", [x], { dtype: element.dtype, ties: "even" }, q);
  const twin = twinOf(site, y, q);
  if (twin !== null) site.importer.pair(y, twin);
  return site.importer.mark(y, element);
}

/** The result of an integer operator, stored as the file wants it. */
function integerForm(site: Site, x: Value, scale: Value, zeroPoint: Value | null, element: ElementType): Value | null {
  const q = knownQuantization(site, x, scale, zeroPoint);
  if (q === null || q.scales.length > 1 || !["int8", "uint8", "int16"].includes(element.name)) return null;
  const shift = element.name === "uint8" ? 128 : 0;
  const form = quantizedForm(site, x, { ...q, zeroPoints: [q.zeroPoints[0]! - shift] }, shift !== 0);
  if (shift !== 0 && form?.dtype === "uint8") return site.importer.mark(form, element);
  if (form === null || form.dtype !== (element.name === "int16" ? "int16" : "int8")) return null;
  const stored = shift === 0 ? form : site.emit("quantize", [form], { dtype: "uint8" }, q);
  site.importer.pair(stored, form);
  return site.importer.mark(stored, element);
}

function quantizeLinear(site: Site): Value {
  const element = site.optional(2) !== null ? site.element(2) : elementType(site.int("output_dtype", 2) || 2, site.place);
  return quantizedTo(site, site.input(0), site.input(1), site.optional(2), element);
}

/** The numbers behind stored ones, with their twin. */
function dequantizedWith(site: Site, x: Value, scale: Value, zeroPoint: Value | null): Value {
  const q = knownQuantization(site, x, scale, zeroPoint);
  const twin = q === null ? null : twinOf(site, x, q);
  const whole = twin !== null && x.data === undefined && twin.quantization!.scales.length === 1 && twin.dtype !== "int32";
  const y = whole
    ? site.emit("dequantize", [twin])
    : dequantized(site, x, spread(site, x, scale), zeroPoint === null ? null : spread(site, x, zeroPoint));
  if (twin !== null) site.importer.pair(y, twin);
  return site.importer.mark(y, site.importer.elementOf(scale));
}

const dequantizeLinear: Rule = (site) => dequantizedWith(site, site.input(0), site.input(1), site.optional(2));

/** Where the inputs of a QLinear operator stand: stored tensors with their scales and zero points, the result's, and a bias. */
interface QLinearForm {
  readonly inputs: readonly number[];
  readonly output: number;
  readonly bias?: number;
}

/** A QLinear operator is the plain one between the dequantization of its inputs and the quantization of its result. */
function qlinear(op: string, rule: Rule, form: (site: Site) => QLinearForm): Rule {
  return (site) => {
    if (site.int("channels_last", 0) !== 0) site.unsupported(`${site.node.op} with channels last is not supported`);
    const { inputs, output, bias } = form(site);
    const floats: (Value | null)[] = inputs.map((at) =>
      dequantizedWith(axisOfWeights(site, at), site.input(at), site.input(at + 1), site.optional(at + 2)),
    );
    const stored = bias === undefined ? null : site.optional(bias);
    if (stored !== null) floats.push(dequantizedWith(site.as(site.node.op, site.inputs, { axis: 0 }), stored, sumScale(site, inputs), null));
    const inner = site.as(op, floats);
    const result = rule(inner) as Value;
    site.importer.remember(result, { site: inner, rule });
    const element = site.optional(output + 1) === null ? site.element(inputs[0]!) : site.element(output + 1);
    return quantizedTo(site, result, site.input(output), site.optional(output + 1), element);
  };
}

/** Scales of a convolution's weights run along its outputs, their first dimension. */
function axisOfWeights(site: Site, at: number): Site {
  return at === 3 && site.node.op === "QLinearConv" ? site.as(site.node.op, site.inputs, { axis: 0 }) : site;
}

/** A bias has the scale of the sums. */
function sumScale(site: Site, inputs: readonly number[]): Value {
  return mul(site, site.reshape(site.input(inputs[0]! + 1), []), site.input(inputs[1]! + 1));
}

const unaryForm = (): QLinearForm => ({ inputs: [0], output: 3 });
const binaryForm = (): QLinearForm => ({ inputs: [0, 3], output: 6 });

/** Scale and zero point follow from the numbers themselves, 0 included. */
function dynamicQuantize(site: Site): Value[] {
  const x = site.input(0);
  const all = x.shape.map((_, d) => d);
  const high = clip(site, reduce(site, "reduceMax", x, all, false), 0, Infinity);
  const low = clip(site, reduce(site, "reduceMin", x, all, false), -Infinity, 0);
  const scale = div(site, sub(site, high, low), 255);
  const zero = site.emit("round", [clip(site, div(site, sub(site, 0, low), scale), 0, 255)]);
  const y = clip(site, add(site, site.emit("round", [div(site, x, scale)]), zero), 0, 255);
  return [site.cast(y, "uint8"), scale, site.cast(zero, "uint8")];
}

/** Whole numbers with their zero points taken off; they are exact as floats while sums stay below 2^24. */
function centered(site: Site, index: number, zeroIndex: number, row: boolean): Value {
  const x = site.cast(site.input(index), "float32");
  const zero = site.optional(zeroIndex);
  if (zero === null) return x;
  const float = site.cast(zero, "float32");
  return sub(
    site,
    x,
    elementCount(zero.shape) > 1 && row
      ? site.reshape(float, [elementCount(zero.shape), 1])
      : elementCount(zero.shape) === 1
        ? site.reshape(float, [])
        : float,
  );
}

function exact(site: Site, terms: number): void {
  if (terms * 255 * 255 > 2 ** 24)
    site.unsupported(`sums of ${terms} products of bytes are not supported here`, "Quantize the model with QDQ nodes around float operators.");
}

function matmulInteger(site: Site): Value {
  exact(site, site.shape(0).at(-1)!);
  return site.cast(matmul(site, centered(site, 0, 2, true), centered(site, 1, 3, false)), "int32");
}

function convInteger(site: Site): Value {
  const [x, w] = [centered(site, 0, 2, false), site.cast(site.input(1), "float32")];
  exact(site, elementCount(w.shape.slice(1)));
  const zero = site.optional(3);
  const weights =
    zero === null
      ? w
      : sub(site, w, site.reshape(site.cast(zero, "float32"), elementCount(zero.shape) === 1 ? [] : [w.shape[0]!, ...w.shape.slice(1).map(() => 1)]));
  const plan = windowPlan(site, x.shape.slice(2), site.ints("kernel_shape") ?? w.shape.slice(2));
  return site.cast(convOf(site, x, weights, null, plan, site.int("group", 1)), "int32");
}

/** The product of the numbers behind two quantized matrices. */
function qlinearMatmul(site: Site): Value {
  const [aScale, bScale, yScale] = [site.input(1), site.input(4), site.input(6)];
  const scalar = (value: Value): Value => (elementCount(value.shape) === 1 ? site.reshape(value, []) : value);
  const a = centered(site, 0, 2, true);
  const b = centered(site, 3, 5, false);
  exact(site, a.shape.at(-1)!);
  const scale = div(site, mul(site, scalar(aScale), scalar(bScale)), scalar(yScale));
  const moved = add(site, site.emit("round", [mul(site, matmul(site, a, b), scale)]), site.cast(scalar(site.input(7)), "float32"));
  const element = site.element(7);
  const [low, high] = rangeOf(site, element);
  return site.importer.mark(site.cast(clip(site, moved, low, high), element.dtype), element);
}

/** The QOperator set of ONNX Runtime. */
export const MICROSOFT: Readonly<Record<string, Rule>> = {
  QLinearAdd: qlinear("Add", ELEMENTWISE["Add"]!, binaryForm),
  QLinearMul: qlinear("Mul", ELEMENTWISE["Mul"]!, binaryForm),
  QLinearSigmoid: qlinear("Sigmoid", ELEMENTWISE["Sigmoid"]!, unaryForm),
  QLinearLeakyRelu: qlinear("LeakyRelu", ELEMENTWISE["LeakyRelu"]!, unaryForm),
  QLinearGlobalAveragePool: qlinear("GlobalAveragePool", POOL["GlobalAveragePool"]!, unaryForm),
  QLinearAveragePool: qlinear("AveragePool", POOL["AveragePool"]!, unaryForm),
  QLinearSoftmax: qlinear("Softmax", REDUCE["Softmax"]!, unaryForm),
  QLinearConcat: qlinear("Concat", MOVEMENT["Concat"]!, (site) => ({
    inputs: Array.from({ length: Math.floor((site.inputs.length - 2) / 3) }, (_, i) => 2 + 3 * i),
    output: 0,
  })),
  QGemm: qlinear("Gemm", MATRIX["Gemm"]!, () => ({ inputs: [0, 3], output: 7, bias: 6 })),
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
  Gelu: ELEMENTWISE["Gelu"]!,
};

/** QONNX: a float that only takes the values of an integer of so many bits. */
function quant(site: Site): Value {
  const [x, scale, zero] = [site.input(0), site.input(1), site.input(2)];
  const bits = site.numbers(3)?.[0] ?? 8;
  const signed = site.int("signed", 1) !== 0;
  const narrow = site.int("narrow", 0) !== 0 ? 1 : 0;
  const [low, high] = signed ? [-(2 ** (bits - 1)) + narrow, 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1 - narrow];
  const mode = site.text("rounding_mode", "ROUND").toUpperCase();
  const op = { ROUND: "round", FLOOR: "floor", CEIL: "ceil" }[mode] ?? site.unsupported(`the rounding mode ${mode} is not supported`);
  const stored = clip(site, add(site, div(site, x, scale), zero), low, high);
  return mul(site, sub(site, site.emit(op, [stored]), zero), scale);
}

function bipolar(site: Site): Value {
  const [x, scale] = [site.input(0), site.input(1)];
  return mul(site, select(site, compare(site, "greaterEqual", x, 0), site.like(x, 1), site.like(x, -1)), scale);
}

export const QONNX: Readonly<Record<string, Rule>> = { Quant: quant, BipolarQuant: bipolar };

export const QUANTIZE: Readonly<Record<string, Rule>> = {
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
  DynamicQuantizeLinear: dynamicQuantize,
  MatMulInteger: matmulInteger,
  ConvInteger: convInteger,
  QLinearMatMul: qlinearMatmul,
  QLinearConv: qlinear("Conv", CONV["Conv"]!, () => ({ inputs: [0, 3], output: 6, bias: 8 })),
};
