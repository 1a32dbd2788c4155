import { elementCount } from "../base/index.ts";
import type { Node } from "../graph/index.ts";
import { type Buffer, type Expr, f32, i32, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { inferSame } from "./activations.ts";
import { makeCase, scaleOf, typed } from "./elementwise.ts";
import { requantize, roundingShift } from "./fixed.ts";
import { expNegativeQ5, logFixed, reciprocalMantissa } from "./fixed-point.ts";
import { expFloat, logFloat } from "./float-math.ts";
import { lookUpShort, shortTable } from "./lookup.ts";
import { attributesOf, inputOf, type OpDef, outputOf, suffixOf, typeAt, unsupportedTypes } from "./op.ts";
import { quantizeMultiplier, rangeOfDType } from "./quantization.ts";
import { inputRadius } from "./sigmoid.ts";

export interface SoftmaxAttributes {
  readonly beta: number;
  /** The result's element type where it is not the input's: int16 for an 8-bit input. */
  readonly outputType?: "int16";
}

const f = Math.fround;

/** Visits the rows along the last dimension: index of the first element, and a loop over a row's elements. */
function eachRow(k: KernelBuilder, node: Node, body: (eachOf: (visit: (i: Expr) => void) => void) => void): void {
  const { shape } = inputOf(node, 0);
  const size = shape[shape.length - 1] ?? 1;
  const depth = k.int("depth", size);
  k.for("row", 0, k.int("rows", size === 0 ? 0 : elementCount(shape) / size), (row) => {
    const first = k.let("first", row.mul(depth));
    body((visit) => k.for("c", 0, depth, (c) => visit(first.add(c))));
  });
}

type EachOf = (visit: (i: Expr) => void) => void;

function largestOf(k: KernelBuilder, input: Buffer, lowest: Expr, eachOf: EachOf): Expr {
  const largest = k.variable("largest", lowest);
  eachOf((i) => {
    const value = k.let("value", input.load(i));
    largest.set(largest.get().max(value));
  });
  return k.let("top", largest.get());
}

function floatSoftmax(k: KernelBuilder, node: Node, beta: number): void {
  const input = k.input(0, "x");
  const output = k.output(0, "y");
  eachRow(k, node, (eachOf) => {
    const top = largestOf(k, input, f32(-3.4028234663852886e38), eachOf);
    const sum = k.variable("sum", f32(0));
    eachOf((i) => {
      const power = k.let("power", k.call(expFloat, input.load(i).sub(top).mul(k.float("beta", beta))));
      output.store(i, power);
      sum.set(sum.get().add(power));
    });
    const total = k.let("total", sum.get());
    eachOf((i) => output.store(i, output.load(i).div(total)));
  });
}

/** The factor from differences of stored numbers to Q5.26, and the smallest difference that does not count as 0. */
function differenceScale(scale: number): { multiplier: number; shift: number; smallest: number } {
  const factor = quantizeMultiplier(Math.min(scale * 2 ** 26, 2 ** 31 - 1));
  return { ...factor, smallest: -inputRadius(5, factor.shift) };
}

/** Visits the elements of a row whose exponential counts, with their difference to the largest as Q5.26. */
function eachDifference(
  k: KernelBuilder,
  input: Buffer,
  top: Expr,
  rule: ReturnType<typeof differenceScale>,
  eachOf: EachOf,
  near: (i: Expr, q5: Expr) => void,
  far?: (i: Expr) => void,
): void {
  eachOf((i) => {
    const difference = k.let("difference", input.load(i).sub(top));
    k.if(
      difference.ge(k.int("smallest", rule.smallest)),
      () => {
        near(i, k.let("q5", k.call(requantize, difference, k.int("multiplier", rule.multiplier), k.int("shift", rule.shift))));
      },
      far === undefined ? undefined : () => far(i),
    );
  });
}

/** The sum of a row's exponentials as Q12. */
function sumOfPowers(k: KernelBuilder, input: Buffer, top: Expr, rule: ReturnType<typeof differenceScale>, eachOf: EachOf): Expr {
  const sum = k.variable("sum", i32(0));
  eachDifference(k, input, top, rule, eachOf, (_, q5) => sum.set(sum.get().wrapAdd(k.call(roundingShift, k.call(expNegativeQ5, q5), 12))));
  return k.let("total", sum.get());
}

const BITS = { int8: 8, uint8: 8, int16: 16 } as const;

function byteSoftmax(k: KernelBuilder, node: Node, beta: number): void {
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  const rule = differenceScale(beta * scaleOf(node, x));
  const { low, high } = rangeOfDType(y.dtype);
  const input = k.input(0, "x");
  const output = k.output(0, "y");
  eachRow(k, node, (eachOf) => {
    const top = largestOf(k, input, i32(rangeOfDType(x.dtype).low), eachOf);
    const total = sumOfPowers(k, input, top, rule, eachOf);
    const reciprocal = k.let("reciprocal", k.call(reciprocalMantissa, total));
    const shift = k.let("drop", i32(12 + 31 - BITS[y.dtype as keyof typeof BITS]).sub(total.clz()));
    eachDifference(
      k,
      input,
      top,
      rule,
      eachOf,
      (i, q5) => {
        // A requantize without a shift is the rounded product of two Q0 numbers.
        const share = k.let("share", k.call(requantize, k.call(expNegativeQ5, q5), reciprocal, 0));
        output.store(i, k.call(roundingShift, share, shift).add(low).clamp(low, high));
      },
      (i) => output.store(i, low),
    );
  });
}

/** 16 bits: exponentials and the reciprocal of their sum come from tables of 513 knots. */
function shortSoftmax(k: KernelBuilder, node: Node, beta: number): void {
  const factor = quantizeMultiplier((scaleOf(node, inputOf(node, 0)) * beta) / (10 / 65535));
  const input = k.input(0, "x");
  const powers = k.constant(
    "powers",
    "i16",
    shortTable((v) => f(Math.exp(v)), -10, 0, -1, 1),
  );
  const inverses = k.constant(
    "inverses",
    "i16",
    shortTable((v) => f(1 / f(1 + v)), 0, 1, -1, 1),
  );
  const output = k.output(0, "y");
  eachRow(k, node, (eachOf) => {
    const top = largestOf(k, input, i32(-32768), eachOf);
    const sum = k.variable("sum", i32(0));
    eachOf((i) => {
      const difference = k.call(requantize, input.load(i).sub(top), k.int("multiplier", factor.multiplier), k.int("shift", factor.shift));
      const power = k.let("power", lookUpShort(k, powers, k.let("centered", difference.add(32767).clamp(-32768, 32767))));
      output.store(i, power);
      sum.set(sum.get().add(power));
    });
    const total = k.let("total", sum.get().max(1));
    const headroom = k.let("headroom", total.clz());
    // The sum's bits below its leading one, as 16 bits around zero.
    const mantissa = k.let(
      "mantissa",
      total
        .shl(headroom.sub(1))
        .wrapAdd(1 << 13)
        .shru(14)
        .sub((1 << 15) + (1 << 16)),
    );
    const inverse = k.let("inverse", lookUpShort(k, inverses, k.let("argument", mantissa.clamp(-32768, 32767))));
    const drop = k.let("drop", i32(31).sub(headroom).max(1));
    eachOf((i) => {
      const share = output
        .load(i)
        .mul(inverse)
        .add(i32(1).shl(drop.sub(1)))
        .shr(drop);
      output.store(i, share.clamp(0, 32767));
    });
  });
}

function softmaxLoops(k: KernelBuilder, node: Node): KernelInstance {
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  const beta = f(attributesOf<SoftmaxAttributes>(node).beta);
  const bytes = x.dtype === "int8" || x.dtype === "uint8";
  if (x.dtype === "float32" && y.dtype === "float32") floatSoftmax(k, node, beta);
  else if (x.dtype === "int16" && y.dtype === "int16") shortSoftmax(k, node, beta);
  else if (bytes && (y.dtype === x.dtype || y.dtype === "int16")) byteSoftmax(k, node, beta);
  else throw unsupportedTypes(node);
  const suffix = x.dtype === y.dtype ? suffixOf(x.dtype) : `${suffixOf(x.dtype)}_${suffixOf(y.dtype)}`;
  return k.finish(`softmax_${suffix}`, "Exponentials along the last dimension, divided by their sum.");
}

export const softmax: OpDef = {
  name: "softmax",
  infer(inputs, attributes) {
    const x = typeAt("softmax", inputs, 0);
    return [{ dtype: attributesOf<SoftmaxAttributes>({ attributes }).outputType ?? x.dtype, shape: x.shape }];
  },
  loops: softmaxLoops,
  cases: [
    makeCase("int8", [typed("int8", [3, 10], 0.1, 5)], typed("int8", [3, 10], 1 / 256, -128), { beta: 1 }),
    makeCase("int8 of small differences", [typed("int8", [2, 2, 40], 0.004, 5)], typed("int8", [2, 2, 40], 1 / 256, -128), { beta: 0.5 }),
    makeCase("int8 to int16", [typed("int8", [3, 10], 0.05, 5)], typed("int16", [3, 10], 1 / 65536, -32768), { beta: 1, outputType: "int16" }),
    makeCase("uint8", [typed("uint8", [3, 10], 0.05, 100)], typed("uint8", [3, 10], 1 / 256, 0), { beta: 1 }),
    makeCase("int16", [typed("int16", [3, 10], 0.0004)], typed("int16", [3, 10], 1 / 32768, 0), { beta: 1 }),
    makeCase("float", [typed("float32", [3, 10])], typed("float32", [3, 10]), { beta: 2 }),
  ],
};

function floatLogSoftmax(k: KernelBuilder, node: Node): void {
  const input = k.input(0, "x");
  const output = k.output(0, "y");
  eachRow(k, node, (eachOf) => {
    const top = largestOf(k, input, f32(-3.4028234663852886e38), eachOf);
    const sum = k.variable("sum", f32(0));
    eachOf((i) => sum.set(sum.get().add(k.call(expFloat, input.load(i).sub(top)))));
    const logarithm = k.let("logarithm", k.call(logFloat, sum.get()));
    eachOf((i) => output.store(i, input.load(i).sub(top).sub(logarithm)));
  });
}

/** The output's scale is 1/16 and its largest stored number is 0. */
function byteLogSoftmax(k: KernelBuilder, node: Node): void {
  const x = inputOf(node, 0);
  const rule = differenceScale(scaleOf(node, x));
  const back = quantizeMultiplier(2 ** (31 - rule.shift) / rule.multiplier);
  const { low, high } = rangeOfDType(x.dtype);
  const input = k.input(0, "x");
  const output = k.output(0, "y");
  eachRow(k, node, (eachOf) => {
    const top = largestOf(k, input, i32(low), eachOf);
    const logarithm = k.let("logarithm", k.call(logFixed, sumOfPowers(k, input, top, rule, eachOf)));
    // Differences whose distance to the logarithm would not fit into Q5.26 give the lowest number.
    const reach = k.call(requantize, logarithm.add(-(2 ** 31)), k.int("back_multiplier", back.multiplier), k.int("back_shift", back.shift));
    const limit = k.let("limit", reach.max(k.int("smallest", rule.smallest).sub(1)));
    eachOf((i) => {
      const difference = k.let("difference", input.load(i).sub(top));
      k.if(
        difference.gt(limit),
        () => {
          const q5 = k.call(requantize, difference, k.int("multiplier", rule.multiplier), k.int("shift", rule.shift));
          output.store(i, k.call(roundingShift, q5.sub(logarithm), 22).add(high).clamp(low, high));
        },
        () => output.store(i, low),
      );
    });
  });
}

export const logSoftmax: OpDef = {
  name: "logSoftmax",
  infer: inferSame("logSoftmax"),
  loops(k, node) {
    const [x, y] = [inputOf(node, 0), outputOf(node)];
    if (x.dtype !== y.dtype) throw unsupportedTypes(node);
    if (x.dtype === "float32") floatLogSoftmax(k, node);
    else if (x.dtype === "int8" || x.dtype === "uint8") byteLogSoftmax(k, node);
    else throw unsupportedTypes(node);
    return k.finish(`log_softmax_${suffixOf(x.dtype)}`, "Logarithm of the softmax along the last dimension.");
  },
  cases: [
    makeCase("int8", [typed("int8", [3, 10], 0.06, 5)], typed("int8", [3, 10], 16 / 256, 127)),
    makeCase("uint8", [typed("uint8", [3, 10], 0.03, 5)], typed("uint8", [3, 10], 16 / 256, 255)),
    makeCase("float", [typed("float32", [3, 10])], typed("float32", [3, 10])),
  ],
};
