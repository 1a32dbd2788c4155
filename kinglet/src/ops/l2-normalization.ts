import { elementCount } from "../base/index.ts";
import type { Node } from "../graph/index.ts";
import { type Buffer, constant, type Expr, i32, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { makeCase, oneType, typed, zeroPointOf } from "./elementwise.ts";
import { requantize } from "./fixed.ts";
import { inverseRoot, inverseRootShift } from "./fixed-point.ts";
import { attributesOf, badNode, inputOf, type OpDef, outputOf, suffixOf, typeAt } from "./op.ts";
import { quantizationOf } from "./quantization.ts";

/** The smallest length a vector is divided by. */
export const LEAST_LENGTH = 1e-6;

/** Components for which the sum of squares of 9-bit numbers stays below 2^31. */
const MOST_COMPONENTS = Math.floor((2 ** 31 - 1) / 255 ** 2);

/** The sum of squares of one vector. */
function squares(k: KernelBuilder, depth: Expr, zero: Expr, element: (c: Expr) => Expr): Expr {
  const sum = k.variable("sum", zero);
  k.for("c", 0, depth, (c) => {
    const value = k.let("value", element(c));
    sum.set(sum.get().add(value.mul(value)));
  });
  return k.let("squares", sum.get());
}

function floatVector(k: KernelBuilder, depth: Expr, start: Expr, input: Buffer, output: Buffer): void {
  const sum = squares(k, depth, constant(0, "f32"), (c) => input.load(start.add(c)));
  const length = k.let("length", sum.sqrt().max(k.float("epsilon", LEAST_LENGTH)));
  k.for("c", 0, depth, (c) => output.store(start.add(c), input.load(start.add(c)).div(length)));
}

/**
 * 1 / length as a 31-bit mantissa and a power of two; outputs are in steps of 1/128. A sum beyond 29 bits is divided
 * by 4, which is one more step of the shift (only very long vectors get there).
 */
function byteVector(k: KernelBuilder, node: Node, depth: Expr, start: Expr, input: Buffer, output: Buffer): void {
  const zero = k.int("zero_point", zeroPointOf(node, inputOf(node, 0)));
  const element = (c: Expr): Expr => input.load(start.add(c)).sub(zero);
  const sum = squares(k, depth, i32(0), element);
  const large = k.let("large", sum.ge(1 << 29));
  const small = k.let("small", sum.shr(large.add(large)));
  const mantissa = k.let("mantissa", k.call(inverseRoot, small));
  const shift = k.let("shift", i32(0).sub(inverseRootShift(small)).sub(large));
  const [signed, low, high] = outputOf(node).dtype === "int8" ? [true, -128, 127] : [false, 0, 255];
  k.for("c", 0, depth, (c) => {
    // The int8 kernel folds the factor 128 into the shift, the uint8 kernel multiplies first: one more bit is kept.
    const scaled = signed
      ? k.call(requantize, element(c), mantissa, shift.add(7))
      : k.call(requantize, element(c).mul(128), mantissa, shift).add(128);
    output.store(start.add(c), scaled.clamp(low, high));
  });
}

function checkNode(node: Node, depth: number): void {
  const y = outputOf(node);
  if ((attributesOf<{ activation?: string }>(node).activation ?? "none") !== "none") throw badNode(node, "must have no fused activation");
  if (y.dtype === "float32") return;
  const { scale, zeroPoint } = quantizationOf(node, y);
  if (scale !== 1 / 128 || zeroPoint !== (y.dtype === "int8" ? 0 : 128))
    throw badNode(node, `needs an output in steps of 1/128 around ${y.dtype === "int8" ? 0 : 128}`);
  if (depth > MOST_COMPONENTS) throw badNode(node, `cannot sum the squares of ${depth} numbers in 32 bits`);
}

function loops(k: KernelBuilder, node: Node): KernelInstance {
  const { shape } = inputOf(node, 0);
  const dtype = oneType(node, ["float32", "int8", "uint8"]);
  const components = shape[shape.length - 1]!;
  checkNode(node, components);
  const [input, output] = [k.input(0, "x"), k.output(0, "y")];
  const depth = k.int("depth", components);
  k.for("row", 0, k.int("rows", elementCount(shape.slice(0, -1))), (row) => {
    const start = k.let("start", row.mul(depth));
    if (dtype === "float32") floatVector(k, depth, start, input, output);
    else byteVector(k, node, depth, start, input, output);
  });
  return k.finish(`l2_normalization_${suffixOf(dtype)}`, "Vectors of the last axis divided by their lengths.");
}

export const l2Normalization: OpDef = {
  name: "l2Normalization",
  infer(inputs) {
    const x = typeAt("l2Normalization", inputs, 0);
    return [{ dtype: x.dtype, shape: x.shape }];
  },
  loops,
  cases: [
    makeCase("float", [typed("float32", [3, 7])], typed("float32", [3, 7]), { activation: "none" }),
    makeCase("int8", [typed("int8", [6, 9], 0.05, -3)], typed("int8", [6, 9], 1 / 128, 0), { activation: "none" }),
    makeCase("int8 of small numbers", [{ ...typed("int8", [40, 2], 0.05, 1), low: -2, high: 4 }], typed("int8", [40, 2], 1 / 128, 0), {
      activation: "none",
    }),
    makeCase("int8 of a long vector", [typed("int8", [1, 30000], 0.05, 127)], typed("int8", [1, 30000], 1 / 128, 0), { activation: "none" }),
    makeCase("uint8", [typed("uint8", [6, 9], 0.05, 120)], typed("uint8", [6, 9], 1 / 128, 128), { activation: "none" }),
  ],
};
