import type { Node } from "../../graph/index.ts";
import {
  type Buffer,
  constant,
  type Expr,
  imagesOf,
  type KernelBuilder,
  type KernelInstance,
  NO_BORDER,
  vector,
  vectorLoad,
} from "../../loops/index.ts";
import {
  type Activation,
  attributesOf,
  commonScale,
  inputOf,
  type Kernel,
  type NodeLayouts,
  outputOf,
  quantizationOf,
  rangeOfDType,
  resultBounds,
  type Schedule,
} from "../../ops/index.ts";
import { clearBorder } from "./border.ts";
import { BITS_OF_MAGIC } from "./requantize.ts";
import { type ByteForm, clampBytes, clampFloats, isActivation, loadCentred, storeBytes, storedBounds, storeFloats } from "./layer.ts";
import { requantizeExact, ROUNDING_MAGIC } from "./rounding.ts";
import { eachRun, eachVector, rowLength } from "./vectors.ts";

const f = Math.fround;

/** round(a · factorA + rounding + b · factorB) in single precision. */
interface FloatSum {
  readonly a: number;
  readonly b: number;
  readonly rounding: number;
}

interface Pairs {
  /** Centred operands and, for each pair of them, the result that is wanted, clamped and less its zero point. */
  readonly a: readonly number[];
  readonly b: readonly number[];
  readonly wanted: Int16Array;
  readonly low: number;
  readonly high: number;
}

/** All pairs of operands with what the definition makes of them. */
function pairsOf(node: Node): Pairs {
  const common = commonScale(node);
  const { low, high, zeroPoint } = resultBounds(node, attributesOf<{ activation: Activation }>(node).activation);
  const [a, b] = [0, 1].map((i) => {
    const value = inputOf(node, i);
    const range = rangeOfDType(value.dtype);
    return Array.from({ length: 256 }, (_, n) => range.low + n - quantizationOf(node, value).zeroPoint);
  }) as [number[], number[]];
  const alignedA = a.map((x) => requantizeExact(x * 2 ** common.bits, common.a));
  const alignedB = b.map((x) => requantizeExact(x * 2 ** common.bits, common.b));
  const [least, most] = [low - zeroPoint, high - zeroPoint];
  const wanted = Int16Array.from({ length: 65536 }, (_, n) =>
    Math.min(most, Math.max(least, requantizeExact(alignedA[n >> 8]! + alignedB[n & 255]!, common.y))),
  );
  return { a, b, wanted, low: least, high: most };
}

/** The sum exactly as the vector instructions compute it. */
function applySum(sum: FloatSum, a: number, b: number): number {
  return f(f(f(f(a * sum.a) + sum.rounding) + f(b * sum.b)) + ROUNDING_MAGIC) - ROUNDING_MAGIC;
}

function holds(sum: FloatSum, { a, b, wanted, low, high }: Pairs): boolean {
  return wanted.every((result, n) => Math.min(high, Math.max(low, applySum(sum, a[n >> 8]!, b[n & 255]!))) === result);
}

/** Zero, then small numbers of both signs: what the definition's own roundings move is far below one result. */
const ROUNDINGS = [0, ...Array.from({ length: 12 }, (_, i) => 2 ** (i - 24)).flatMap((size) => [size, -size, 1.5 * size, -1.5 * size])];

/** A float form that gives the definition's result for every pair of operands, found by trying all pairs; undefined where none does. */
function proveSum(node: Node): FloatSum | undefined {
  const scales = [inputOf(node, 0), inputOf(node, 1), outputOf(node)].map((value) => quantizationOf(node, value).scale) as [number, number, number];
  const pairs = pairsOf(node);
  const [a, b] = [f(scales[0] / scales[2]), f(scales[1] / scales[2])];
  if (!(a + b < 2 ** 12)) return undefined;
  for (const rounding of ROUNDINGS) {
    const sum = { a, b, rounding: f(rounding) };
    if (holds(sum, pairs)) return sum;
  }
  return undefined;
}

/** Visits a, b and the result by vectors of `lanes` elements. */
function eachSum(k: KernelBuilder, node: Node, layouts: NodeLayouts, lanes: number, output: Buffer, write: (at: readonly Expr[]) => void): void {
  const layout = layouts.outputs[0]!;
  const tensors = [layouts.inputs[0]!, layouts.inputs[1]!, layout].map((each) => imagesOf(outputOf(node).shape, each));
  eachRun(k, tensors, (at, count) => eachVector(k, count, lanes, (i) => write(at.map((first) => first.add(i)))));
  clearBorder(k, output, layout, tensors[2]!);
}

/** Four channels of a sum of bytes, rounded by the magic number, with the result's zero point. */
function roundedSum(k: KernelBuilder, sum: FloatSum, zeroPoint: number, a: Expr, b: Expr): Expr {
  const product = (value: Expr, name: string, factor: number): Expr =>
    vector("f32x4.mul", [vector("f32x4.convert_i32x4_s", [value]), vector("f32x4.splat", [k.float(name, factor)])]);
  const first = vector("f32x4.add", [product(a, "factor_a", sum.a), vector("f32x4.splat", [k.float("rounding", sum.rounding)])]);
  const total = vector("f32x4.add", [first, product(b, "factor_b", sum.b)]);
  const rounded = vector("f32x4.add", [total, constant(ROUNDING_MAGIC, "f32x4")]);
  return vector("i32x4.sub", [vector("i32x4.of_f32x4", [rounded]), constant(BITS_OF_MAGIC - zeroPoint, "i32x4")]);
}

function byteSum(k: KernelBuilder, node: Node, sum: FloatSum, layouts: NodeLayouts): KernelInstance {
  const layout = layouts.outputs[0]!;
  const bounds = storedBounds(resultBounds(node, attributesOf<{ activation: Activation }>(node).activation), layout);
  const [x, other, y] = [k.input(0, "a"), k.input(1, "b"), k.output(0, "y")];
  eachSum(k, node, layouts, 8, y, (at) => {
    const [a, b] = [k.let("left", loadCentred(k, x, at[0]!, layouts.inputs[0]!)), k.let("right", loadCentred(k, other, at[1]!, layouts.inputs[1]!))];
    const half = (op: "i32x4.extend_low_i16x8_s" | "i32x4.extend_high_i16x8_s"): Expr =>
      roundedSum(k, sum, bounds.zeroPoint, vector(op, [a]), vector(op, [b]));
    const narrow = vector("i16x8.narrow_i32x4_s", [half("i32x4.extend_low_i16x8_s"), half("i32x4.extend_high_i16x8_s")]);
    storeBytes(k, y, at[2]!, k.let("result", clampBytes(k, narrow, bounds, layout)), layout, 8);
  });
  return k.finish("add_s8_simd", "Element by element sum of two tensors of one shape, eight at a time.");
}

function floatSum(k: KernelBuilder, node: Node, layouts: NodeLayouts): KernelInstance {
  const [x, other, y] = [k.input(0, "a"), k.input(1, "b"), k.output(0, "y")];
  eachSum(k, node, layouts, 4, y, (at) => {
    const sum = vector("f32x4.add", [vectorLoad("f32x4", x, at[0]!), vectorLoad("f32x4", other, at[1]!)]);
    storeFloats(k, y, at[2]!, clampFloats(k, node, sum), 4);
  });
  return k.finish("add_f32_simd", "Element by element sum of two tensors of one shape, four at a time.");
}

/** Sums of two activations of one shape, bytes or floats. */
export const addScheduleFor =
  (form: ByteForm): Schedule =>
  (node) => {
    const [a, b, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
    const { activation } = attributesOf<{ activation?: Activation }>(node);
    const same = [a, b].every((value) => isActivation(value) && value.dtype === y.dtype && String(value.shape) === String(y.shape));
    if (!same || rowLength(y.shape) < 8 || activation === undefined || activation === "tanh") return undefined;
    const sum = y.dtype === "int8" || y.dtype === "uint8" ? proveSum(node) : undefined;
    if (sum === undefined && y.dtype !== "float32") return undefined;
    const wish = { border: NO_BORDER, tail: 0, unsigned: form === "dots" };
    const kernel: Kernel = (k, layouts) => (sum === undefined ? floatSum(k, node, layouts) : byteSum(k, node, sum, layouts));
    return Object.assign(kernel, { reads: [wish, wish], writesAny: true });
  };
