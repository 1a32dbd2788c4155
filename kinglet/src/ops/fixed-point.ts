import { defineFunction, type Expr, type Func, type FunctionBuilder, i32, intrinsic } from "../loops/index.ts";
import { roundingShift } from "./fixed.ts";

/**
 * Elementary functions in 32-bit fixed point as gemmlowp defines them; TensorFlow Lite's integer kernels are built
 * from these. Qn has n integer bits, so Q0 stores x · 2^31 and 1 is its largest number.
 */

/** The largest Q0 number, which stands for 1. */
const ONE = 2 ** 31 - 1;

/** A real number below 2^integerBits as a stored constant. */
function fixed(real: number, integerBits = 0): number {
  return Math.min(ONE, Math.round(real * 2 ** (31 - integerBits)));
}

/** Product of Qa and Qb as Q(a + b). */
function times(a: Expr, b: Expr): Expr {
  return intrinsic("roundingHighMul", a, b);
}

/** x · 2^bits, saturating at the largest number; x >= 0 or in range. */
export const saturatingShift: Func = defineFunction(
  "saturating_shift",
  "x * 2^bits with saturation.",
  { x: "i32", bits: "i32" },
  "i32",
  (f, x, bits) => {
    const limit = f.let("limit", i32(1).shl(i32(31).sub(bits!)).wrapSub(1));
    const low = f.let("low", x!.lt(i32(0).sub(limit)).select(i32(-(2 ** 31)), x!.shl(bits!)));
    f.return(x!.gt(limit).select(i32(ONE), low));
  },
);

function half(f: FunctionBuilder, a: Expr, b: Expr): Expr {
  const sum = f.let("sum", a.to("i64").add(b.to("i64")));
  return f.let("mean", sum.ge(0).select(sum.add(1), sum.sub(1)).div(2).to("i32"));
}

/** e^a on [−1/4, 0): Taylor's series around −1/8 up to the fourth power. */
const expNearZero: Func = defineFunction("exp_near_zero", "e^a for -1/4 <= a < 0; Q0 to Q0.", { a: "i32" }, "i32", (f, a) => {
  const center = i32(fixed(Math.exp(-1 / 8)));
  const x = f.let("x", a!.add(1 << 28));
  const x2 = f.let("x2", times(x, x));
  const x3 = f.let("x3", times(x2, x));
  const x4 = f.let("x4", times(x2, x2));
  const quarter = f.let("quarter", f.call(roundingShift, x4, 2));
  const higher = f.let("higher", times(quarter.add(x3), i32(fixed(1 / 3))));
  const tail = f.let("tail", f.call(roundingShift, higher.add(x2), 1));
  f.return(center.add(times(center, x.add(tail))));
});

/** e^a for a <= 0 with `integerBits` integer bits, as Q0. */
function expOfNegative(integerBits: number): Func {
  const fraction = 31 - integerBits;
  const quarter = 1 << (fraction - 2);
  return defineFunction(`exp_negative_q${integerBits}`, `e^a for a <= 0; Q${integerBits} to Q0.`, { a: "i32" }, "i32", (f, a) => {
    const part = f.let("part", a!.and(quarter - 1).sub(quarter));
    const rest = f.let("rest", part.wrapSub(a!));
    let result = f.let("result", f.call(expNearZero, part.shl(integerBits)));
    for (let exponent = -2; exponent < Math.min(integerBits, 5); exponent++) {
      const factor = i32(fixed(Math.exp(-(2 ** exponent))));
      const bit = rest.and(1 << (fraction + exponent));
      result = f.let("result", bit.ne(0).select(times(result, factor), result));
    }
    f.return(a!.eq(0).select(i32(ONE), result));
  });
}

const expNegativeQ4: Func = expOfNegative(4);
export const expNegativeQ5: Func = expOfNegative(5);

/** Three Newton steps for 1 / h as Q2, where h = (1 + a) / 2 lies in [1/2, 1]. */
function reciprocalOfHalf(f: FunctionBuilder, a: Expr): Expr {
  const denominator = half(f, a, i32(ONE));
  let x = f.let("x", i32(fixed(48 / 17, 2)).add(times(denominator, i32(fixed(-32 / 17, 2)))));
  for (let step = 0; step < 3; step++) {
    const missing = f.let("missing", i32(1 << 29).sub(times(denominator, x)));
    x = f.let("x", x.add(f.call(saturatingShift, times(x, missing), 2)));
  }
  return x;
}

const reciprocalQ0: Func = defineFunction("one_over_one_plus", "1 / (1 + a) for 0 <= a <= 1; Q0 to Q0.", { a: "i32" }, "i32", (f, a) => {
  // Halving the Q2 number gives Q1 with the same bits.
  f.return(f.call(saturatingShift, reciprocalOfHalf(f, a!), 1));
});

const oneMinusOverOnePlus: Func = defineFunction(
  "one_minus_over_one_plus",
  "(1 - a) / (1 + a) for 0 <= a <= 1; Q0 to Q0.",
  { a: "i32" },
  "i32",
  (f, a) => {
    f.return(f.call(saturatingShift, reciprocalOfHalf(f, a!).sub(1 << 29), 2));
  },
);

export const logisticFixed: Func = defineFunction("logistic_q4", "1 / (1 + e^-a); Q4 to Q0.", { a: "i32" }, "i32", (f, a) => {
  const negative = f.let("negative", a!.gt(0).select(i32(0).sub(a!), a!));
  const upper = f.let("upper", f.call(reciprocalQ0, f.call(expNegativeQ4, negative)));
  const either = f.let("either", a!.gt(0).select(upper, i32(ONE).sub(upper)));
  f.return(a!.eq(0).select(i32(1 << 30), either));
});

export const tanhFixed: Func = defineFunction("tanh_q4", "Hyperbolic tangent; Q4 to Q0.", { a: "i32" }, "i32", (f, a) => {
  const negative = f.let("negative", a!.lt(0).select(a!, i32(0).sub(a!)));
  // e^(2a): the bits of a in Q4 are those of 2a in Q5.
  const size = f.let("size", f.call(oneMinusOverOnePlus, f.call(expNegativeQ5, negative)));
  const either = f.let("either", a!.lt(0).select(i32(0).sub(size), size));
  f.return(a!.eq(0).select(i32(0), either));
});

/** ln x for x >= 1 in Q12, as Q5: logarithms of mantissa and exponent on the two nearest cuts, then a rational form. */
export const logFixed: Func = defineFunction("log_q12", "ln x for x >= 1; Q12 to Q5.", { x: "i32" }, "i32", (f, x) => {
  const rootHalf = i32(fixed(Math.sqrt(0.5)));
  const fourthRootHalf = i32(fixed(Math.sqrt(Math.sqrt(0.5))));
  const fourthRootTwo = Math.sqrt(Math.sqrt(2));
  const quarter = 1 << 23; // 1/4 as Q6
  const bitsA = f.let("bits_a", x!.clz());
  const mantissaA = f.let("mantissa_a", f.call(saturatingShift, times(f.call(saturatingShift, x!, bitsA.sub(1)), rootHalf), 1));
  const powerA = f.let("power_a", f.call(saturatingShift, i32(12).sub(bitsA), 25).add(quarter));
  const bitsB = f.let("bits_b", times(x!, rootHalf).clz().sub(1));
  const mantissaB = f.let("mantissa_b", f.call(saturatingShift, x!, bitsB));
  const powerB = f.let("power_b", f.call(saturatingShift, i32(12).sub(bitsB), 25).sub(quarter));
  const r = f.let("r", mantissaA.min(mantissaB));
  const power = f.let("power", powerA.max(powerB));
  const p = half(f, r, fourthRootHalf);
  const offset = f.let("offset", r.sub(fourthRootHalf));
  const q = f.let("q", offset.add(offset));
  const square = f.let("square", times(q, q));
  const cubic = f.let("cubic", times(times(q, square), i32(fixed((11 / 240) * fourthRootTwo))));
  const numerator = f.let("numerator", times(q, r).add(cubic));
  const inner = f.let(
    "inner",
    i32(fixed(2 / fourthRootTwo - fourthRootTwo))
      .add(q)
      .add(times(i32(fixed(fourthRootTwo / 20)), square)),
  );
  const denominator = f.let("denominator", times(p, inner).add(times(i32(fixed(fourthRootTwo / 4)), q)));
  const quotient = f.let("quotient", times(f.call(roundingShift, numerator, 6), f.call(reciprocalQ0, denominator)));
  f.return(f.call(saturatingShift, times(power, i32(fixed(Math.LN2))).add(quotient), 1));
});

/** 1 / x as Q0 mantissa; x > 0. The mantissa is to be shifted right by (integer bits of x − leading zeros of x). */
export const reciprocalMantissa: Func = defineFunction(
  "reciprocal_mantissa",
  "Mantissa of 1 / x in [1/2, 1) as Q0; x > 0.",
  { x: "i32" },
  "i32",
  (f, x) => {
    f.return(f.call(reciprocalQ0, x!.shl(x!.clz()).wrapSub(-(2 ** 31))));
  },
);

/** The inverse square root of x >= 1 as a Q0 mantissa; `inverseRootShift` gives its power of two. */
export const inverseRoot: Func = defineFunction("inverse_root", "Mantissa of 1 / sqrt(x); see inverse_root_shift.", { x: "i32" }, "i32", (f, x) => {
  const pairs = f.let("pairs", x!.clz().sub(1).shr(1).sub(1));
  const scaled = f.let("scaled", x!.max(1).shl(pairs.add(pairs)));
  const halfInput = f.let("half_input", f.call(roundingShift, scaled.shr(1), 1));
  let y = i32(1 << 28); // 1 as Q3
  for (let step = 0; step < 5; step++) {
    const cube = f.let("cube", f.call(saturatingShift, times(times(y, y), y), 6));
    const next = f.let("next", times(i32((1 << 28) + (1 << 27)), y).sub(times(halfInput, cube)));
    y = f.let("y", f.call(saturatingShift, next, 3));
  }
  f.return(x!.le(1).select(i32(ONE), times(y, i32(fixed(Math.SQRT1_2)))));
});

/** Right shift that belongs to `inverseRoot`, for 1 <= x < 2^29. */
export function inverseRootShift(x: Expr): Expr {
  return x.le(1).select(i32(0), i32(12).sub(x.clz().sub(1).shr(1)));
}
