import { constant, defineFunction, type Expr, type Func, i32, intrinsic } from "../loops/index.ts";

/**
 * floor-based rounding division by a power of two, ties away from zero (gemmlowp's RoundingDivideByPOT).
 * Correct for every i32 and 0 <= exponent <= 31.
 */
export const roundingShift: Func = defineFunction(
  "rounding_shift",
  "x / 2^exponent, rounded to nearest, ties away from zero.",
  { x: "i32", exponent: "i32" },
  "i32",
  (f, x, exponent) => {
    const mask = f.let("mask", i32(1).shl(exponent!).wrapSub(1));
    const threshold = f.let("threshold", mask.shru(1).add(x!.lt(0)));
    f.return(x!.shr(exponent!).add(x!.and(mask).gt(threshold)));
  },
);

/**
 * x · multiplier / 2^31 · 2^shift with the two roundings of TensorFlow Lite's MultiplyByQuantizedMultiplier:
 * a rounding doubling high multiply, then a rounding shift.
 */
export const requantize: Func = defineFunction(
  "requantize",
  "x * multiplier / 2^31 * 2^shift, rounded twice as TensorFlow Lite does.",
  { x: "i32", multiplier: "i32", shift: "i32" },
  "i32",
  (f, x, multiplier, shift) => {
    const high = f.let("high", intrinsic("roundingHighMul", x!.shl(shift!.max(0)), multiplier!));
    f.return(f.call(roundingShift, high, i32(0).sub(shift!.min(0))));
  },
);

/**
 * The 16x8 form: a 64-bit accumulator times the multiplier reduced to 16 bits, one rounding.
 * `reduced` comes from `reducedMultiplier`.
 */
export const requantize64: Func = defineFunction(
  "requantize_64",
  "x * reduced / 2^15 * 2^shift, rounded once (16-bit activations).",
  { x: "i64", reduced: "i32", shift: "i32" },
  "i32",
  (f, x, reduced, shift) => {
    const total = f.let("total", i32(15).sub(shift!).to("i64"));
    const one = constant(1, "i64");
    f.return(
      x!
        .mul(reduced!.to("i64"))
        .add(one.shl(total.sub(one)))
        .shr(total)
        .to("i32"),
    );
  },
);

/** A 31-bit multiplier rounded to 15 bits, as the 16x8 kernels use it. */
export function reducedMultiplier(multiplier: number): number {
  return multiplier < 0x7fff0000 ? (multiplier + (1 << 15)) >> 16 : 0x7fff;
}

/** The bits of an unsigned 32-bit number as a 64-bit one. */
export function unsignedWide(x: Expr): Expr {
  return x.to("i64").and(0xffffffff);
}

/** The low 16 bits as a signed number: what storing to int16 and loading again gives. */
export function wrapShort(x: Expr): Expr {
  return x.shl(16).shr(16);
}
