import type { Node } from "../graph/index.ts";
import { constant, type Expr, f32, type Func, i32, type KernelBuilder } from "../loops/index.ts";
import { inferSame } from "./activations.ts";
import { isQuantizedType, makeCase, oneType, scaleOf, typed, unaryLoops, zeroPointOf } from "./elementwise.ts";
import { requantize } from "./fixed.ts";
import { inverseRoot, inverseRootShift } from "./fixed-point.ts";
import { atanFloat, cosFloat, erfFloat, expFloat, logFloat, sinFloat } from "./float-math.ts";
import { type RealFunction, tableLookup } from "./lookup.ts";
import { inputOf, type OpCase, type OpDef, outputOf, suffixOf } from "./op.ts";
import { quantizeMultiplier, rangeOfDType } from "./quantization.ts";

const f = Math.fround;
const SHAPE = [3, 50];

function floatCase(low: number, high: number): OpCase {
  return makeCase("float", [{ ...typed("float32", SHAPE), low, high }], typed("float32", SHAPE));
}

/** An operator of floats alone. */
function floatOp(name: string, doc: string, element: (k: KernelBuilder, x: Expr) => Expr, low = -9, high = 9): OpDef {
  return {
    name,
    infer: inferSame(name),
    loops(k, node) {
      oneType(node, ["float32"]);
      unaryLoops(k, node, (x) => element(k, x));
      return k.finish(`${name}_f32`, doc);
    },
    cases: [floatCase(low, high)],
  };
}

export const sqrt = floatOp("sqrt", "Square root.", (_, x) => x.sqrt(), 0, 100);
export const floor = floatOp("floor", "Rounds down.", (_, x) => x.floor());
export const ceil = floatOp("ceil", "Rounds up.", (_, x) => x.ceil());
export const round = floatOp("round", "Rounds to the nearest whole number, halves to the even one.", (_, x) => x.rint());
export const sin = floatOp("sin", "Sine.", (k, x) => k.call(sinFloat, x), -50, 50);
export const cos = floatOp("cos", "Cosine.", (k, x) => k.call(cosFloat, x), -50, 50);
export const atan = floatOp("atan", "Inverse tangent.", (k, x) => k.call(atanFloat, x), -50, 50);
export const erf = floatOp("erf", "Error function.", (k, x) => k.call(erfFloat, x), -4, 4);

function plainOp(name: string, doc: string, element: (x: Expr) => Expr): OpDef {
  return {
    name,
    infer: inferSame(name),
    loops(k, node) {
      const dtype = oneType(node, ["int32", "int64", "float32"]);
      unaryLoops(k, node, element);
      return k.finish(`${name}_${suffixOf(dtype)}`, doc);
    },
    cases: [
      floatCase(-9, 9),
      makeCase("int32", [typed("int32", SHAPE)], typed("int32", SHAPE)),
      makeCase("int64", [typed("int64", SHAPE)], typed("int64", SHAPE)),
    ],
  };
}

export const neg = plainOp("neg", "Changes the sign.", (x) => (x.type === "f32" ? x.neg() : constant(0, x.type).wrapSub(x)));
export const square = plainOp("square", "x * x.", (x) => (x.type === "f32" ? x.mul(x) : x.wrapMul(x)));

/** A function whose quantized forms TensorFlow Lite tabulates in single precision. */
function tabulatedOp(name: string, doc: string, float: Func, real: (node: Node) => RealFunction, cases: OpCase[]): OpDef {
  return {
    name,
    infer: inferSame(name),
    loops(k, node) {
      const dtype = oneType(node, ["int8", "uint8", "int16", "float32"]);
      const table = dtype === "float32" ? undefined : tableLookup(k, node, real(node));
      unaryLoops(k, node, (x) => table?.(x) ?? k.call(float, x));
      return k.finish(`${name}_${suffixOf(dtype)}`, doc);
    },
    cases,
  };
}

export const exp = tabulatedOp("exp", "e^x.", expFloat, () => (x) => f(Math.exp(x)), [
  floatCase(-20, 20),
  makeCase("int8", [typed("int8", SHAPE, 0.02, 40)], typed("int8", SHAPE, 0.03, -128)),
  makeCase("int16", [typed("int16", SHAPE, 0.0001)], typed("int16", SHAPE, 0.001)),
]);

/** Numbers without a logarithm give the lowest that the output can hold. */
function logReal(node: Node): RealFunction {
  const y = outputOf(node);
  const lowest = f((rangeOfDType(y.dtype).low - zeroPointOf(node, y)) * scaleOf(node, y));
  return (x) => (x <= 0 ? lowest : f(Math.log(x)));
}

export const log = tabulatedOp("log", "Natural logarithm.", logFloat, logReal, [
  floatCase(0.001, 50),
  makeCase("int8", [typed("int8", SHAPE, 0.05, -120)], typed("int8", SHAPE, 0.05, 10)),
  makeCase("int16", [typed("int16", SHAPE, 0.001)], typed("int16", SHAPE, 0.0005)),
]);

/** The distance from the zero point, rescaled only where the scales differ. */
function absStored(k: KernelBuilder, node: Node, x: Expr): Expr {
  const [input, output] = [inputOf(node, 0), outputOf(node)];
  const { low, high } = rangeOfDType(output.dtype);
  const size = k.let("size", x.add(k.int("offset", -zeroPointOf(node, input))).abs());
  const factor = quantizeMultiplier(scaleOf(node, input) / scaleOf(node, output));
  const same = scaleOf(node, input) === scaleOf(node, output);
  const value = same ? size : k.call(requantize, size, k.int("multiplier", factor.multiplier), k.int("shift", factor.shift));
  return value.add(k.int("zero_point", zeroPointOf(node, output))).clamp(low, high);
}

export const abs: OpDef = {
  name: "abs",
  infer: inferSame("abs"),
  loops(k, node) {
    const dtype = oneType(node, ["int8", "uint8", "int16", "int32", "int64", "float32"]);
    const quantized = isQuantizedType(dtype) && inputOf(node, 0).quantization !== undefined;
    unaryLoops(k, node, (x) => {
      if (quantized) return absStored(k, node, x);
      return x.type === "f32" ? x.abs() : x.lt(0).select(constant(0, x.type).wrapSub(x), x);
    });
    return k.finish(`abs_${suffixOf(dtype)}`, "Magnitude.");
  },
  cases: [
    floatCase(-9, 9),
    makeCase("int8", [typed("int8", SHAPE, 0.05, -7)], typed("int8", SHAPE, 0.05, -128)),
    makeCase("int8 of two scales", [typed("int8", SHAPE, 0.05, -7)], typed("int8", SHAPE, 0.03, -128)),
    makeCase("int16", [typed("int16", SHAPE, 0.001)], typed("int16", SHAPE, 0.0015)),
    makeCase("int32", [typed("int32", SHAPE)], typed("int32", SHAPE)),
  ],
};

/** 20 more bits are kept between the two roundings. */
const ROOT_BITS = 20;

/** 1 / sqrt of a stored number; the zero point and what lies below give the largest number. */
function inverseRootStored(k: KernelBuilder, node: Node, x: Expr): Expr {
  const [input, output] = [inputOf(node, 0), outputOf(node)];
  const { low, high } = rangeOfDType(output.dtype);
  const factor = quantizeMultiplier(1 / (Math.sqrt(scaleOf(node, input)) * scaleOf(node, output)));
  const value = k.let("centered", x.add(k.int("offset", -zeroPointOf(node, input))));
  const positive = k.let("positive", value.max(1));
  const root = k.call(requantize, i32(1), k.call(inverseRoot, positive), i32(ROOT_BITS).sub(inverseRootShift(positive)));
  const result = k.call(requantize, k.let("root", root), k.int("multiplier", factor.multiplier), k.int("shift", factor.shift - ROOT_BITS));
  const stored = result.add(k.int("zero_point", zeroPointOf(node, output))).clamp(low, high);
  return value.le(0).select(i32(high), stored);
}

export const rsqrt: OpDef = {
  name: "rsqrt",
  infer: inferSame("rsqrt"),
  loops(k, node) {
    const dtype = oneType(node, ["int8", "uint8", "int16", "float32"]);
    unaryLoops(k, node, (x) => (dtype === "float32" ? f32(1).div(x.sqrt()) : inverseRootStored(k, node, x)));
    return k.finish(`rsqrt_${suffixOf(dtype)}`, "1 / sqrt(x).");
  },
  cases: [
    floatCase(0.01, 50),
    makeCase("int8", [typed("int8", SHAPE, 0.05, -128)], typed("int8", SHAPE, 0.02, -128)),
    makeCase("int16", [{ ...typed("int16", SHAPE, 0.001), low: 0, high: 32767 }], typed("int16", SHAPE, 0.001)),
  ],
};
