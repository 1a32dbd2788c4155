import { bitsToFloat, defineFunction, f32, floatToBits, type Expr, type Func, type FunctionBuilder, i32 } from "../loops/index.ts";

/**
 * Elementary functions in single precision, written in the loop language so that every back end computes the same
 * bits. Relative errors are a few units of the last place (below 1e-6).
 */

/** c[0] + x·(c[1] + x·(c[2] + …)) */
function polynomial(x: Expr, coefficients: readonly number[]): Expr {
  return coefficients.slice(0, -1).reduceRight((sum, c) => sum.mul(x).add(c), f32(coefficients[coefficients.length - 1]!));
}

function factorial(n: number): number {
  return n <= 1 ? 1 : n * factorial(n - 1);
}

/** ln 2 in two parts; the first has so few bits that its product with an exponent is exact. */
const LN2_HIGH = 0.693145751953125;
const LN2_LOW = Math.LN2 - LN2_HIGH;
const NAN = bitsToFloat(i32(0x7fc00000));

/** 2^n for −126 <= n <= 127. */
function powerOfTwo(n: Expr): Expr {
  return bitsToFloat(n.add(127).shl(23));
}

export const expFloat: Func = defineFunction("exp_f32", "e^x.", { x: "f32" }, "f32", (f, x) => {
  const clamped = f.let("clamped", x!.clamp(-104, 89));
  const count = f.let("count", clamped.mul(Math.LOG2E).rint());
  const rest = f.let("rest", clamped.sub(count.mul(LN2_HIGH)).sub(count.mul(LN2_LOW)));
  const value = f.let(
    "value",
    polynomial(
      rest,
      Array.from({ length: 8 }, (_, n) => 1 / factorial(n)),
    ),
  );
  const n = f.let("n", count.to("i32"));
  // Two factors, because 2^n alone may be too small or too large for a normal number.
  const half = f.let("half", n.shr(1));
  const result = f.let("result", value.mul(powerOfTwo(half)).mul(powerOfTwo(n.sub(half))));
  f.return(x!.ne(x!).select(x!, result));
});

export const expm1Float: Func = defineFunction("expm1_f32", "e^x - 1, exact near 0.", { x: "f32" }, "f32", (f, x) => {
  const near = f.let("near", x!.clamp(-0.5, 0.5));
  const series = f.let(
    "series",
    near.mul(
      polynomial(
        near,
        Array.from({ length: 8 }, (_, n) => 1 / factorial(n + 1)),
      ),
    ),
  );
  f.return(x!.eq(near).select(series, f.call(expFloat, x!).sub(1)));
});

interface LogParts {
  readonly high: Expr;
  readonly low: Expr;
}

/** The exact product of two floats as a rounded product and its error (Dekker); magnitudes well below 2^115. */
function exactProduct(f: FunctionBuilder, a: Expr, b: Expr): { product: Expr; error: Expr } {
  const split = (v: Expr): [Expr, Expr] => {
    const high = f.let("high", bitsToFloat(floatToBits(v).and(-4096)));
    return [high, f.let("low", v.sub(high))];
  };
  const product = f.let("product", a.mul(b));
  const [ah, al] = split(a);
  const [bh, bl] = split(b);
  const error = f.let("error", ah.mul(bh).sub(product).add(ah.mul(bl)).add(al.mul(bh)).add(al.mul(bl)));
  return { product, error };
}

/** ln x of a positive finite number as a sum of two floats (about 30 bits). */
function logParts(f: FunctionBuilder, x: Expr): LogParts {
  const small = f.let("small", x.lt(1.1754943508222875e-38));
  const normal = f.let("normal", small.select(x.mul(8388608), x));
  // Bits of sqrt(1/2) move the cut so that the mantissa lies in [sqrt(1/2), sqrt(2)).
  const bits = f.let("bits", floatToBits(normal).sub(0x3f3504f3));
  const exponent = f.let("exponent", bits.shr(23).sub(small.mul(23)).to("f32"));
  const mantissa = f.let("mantissa", bitsToFloat(bits.and(0x7fffff).add(0x3f3504f3)));
  const t = f.let("t", mantissa.sub(1));
  // s = t / (2 + t) with its rounding error; ln(1 + t) = 2·(s + s³/3 + s⁵/5 + …).
  const d = f.let("d", t.add(2));
  const dLow = f.let("d_low", t.sub(d.sub(2)));
  const s = f.let("s", t.div(d));
  const { product, error } = exactProduct(f, s, d);
  const sLow = f.let("s_low", t.sub(product).sub(error).sub(s.mul(dLow)).div(d));
  const square = f.let("square", s.mul(s));
  const tail = f.let(
    "tail",
    square
      .mul(s)
      .mul(polynomial(square, [2 / 3, 2 / 5, 2 / 7, 2 / 9, 2 / 11, 2 / 13]))
      .add(sLow.mul(2)),
  );
  const first = f.let("first", exponent.mul(LN2_HIGH));
  const second = f.let("second", s.mul(2));
  const high = f.let("log_high", first.add(second));
  // |first| is 0 or larger than |second|, so this error is exact.
  const lost = f.let("lost", first.eq(0).select(f32(0), second.sub(high.sub(first))));
  const low = f.let("log_low", lost.add(exponent.mul(LN2_LOW)).add(tail));
  // The first part takes all it can hold, so that the second is a rounding error only.
  const sum = f.let("log_sum", high.add(low));
  return { high: sum, low: f.let("log_rest", low.sub(sum.sub(high))) };
}

export const logFloat: Func = defineFunction("log_f32", "Natural logarithm.", { x: "f32" }, "f32", (f, x) => {
  const ordinary = f.let("ordinary", x!.gt(0).and(x!.lt(Infinity)));
  const { high, low } = logParts(f, f.let("positive", ordinary.select(x!, f32(1))));
  const special = f.let("special", x!.eq(0).select(f32(-Infinity), x!.gt(0).select(x!, NAN)));
  f.return(ordinary.select(high.add(low), special));
});

export const powFloat: Func = defineFunction("pow_f32", "x^y; NaN for a negative x unless y is whole.", { x: "f32", y: "f32" }, "f32", (f, x, y) => {
  const size = f.let("size", x!.abs());
  const ordinary = f.let("ordinary", size.gt(0).and(size.lt(Infinity)));
  const { high, low } = logParts(f, f.let("positive", ordinary.select(size, f32(1))));
  const rough = f.let("rough", y!.mul(high));
  const far = f.let("far", rough.abs().gt(200));
  const scaled = f.let("scaled", far.select(f32(0), y!));
  const { product, error } = exactProduct(f, scaled, high);
  const rest = f.let("rest", error.add(scaled.mul(low)));
  const power = f.let("power", f.call(expFloat, f.let("argument", far.select(rough, product))));
  const finite = f.let("finite", power.add(power.mul(rest)));
  const limit = f.let("limit", size.eq(0).select(y!.gt(0).select(f32(0), f32(Infinity)), y!.gt(0).select(f32(Infinity), f32(0))));
  const magnitude = f.let("magnitude", ordinary.select(power.lt(Infinity).select(finite, power), limit));
  const halved = f.let("halved", y!.mul(0.5));
  const odd = f.let("odd", y!.eq(y!.trunc()).and(halved.ne(halved.trunc())));
  const signed = f.let("signed", x!.lt(0).and(odd).select(magnitude.neg(), magnitude));
  const defined = f.let("defined", x!.lt(0).and(y!.ne(y!.trunc())).select(NAN, signed));
  f.return(y!.eq(0).select(f32(1), defined));
});

/** tanh x = x·(1 − x²/3 + 2x⁴/15 − …), from the Taylor series. */
const TANH_SERIES = [1, -1 / 3, 2 / 15, -17 / 315, 62 / 2835, -1382 / 155925, 21844 / 6081075, -929569 / 638512875, 6404582 / 10854718875];

export const tanhFloat: Func = defineFunction("tanh_f32", "Hyperbolic tangent.", { x: "f32" }, "f32", (f, x) => {
  const size = f.let("size", x!.abs());
  const square = f.let("square", x!.mul(x!));
  const near = f.let("near", x!.mul(polynomial(square.min(0.5), TANH_SERIES)));
  const grown = f.let("grown", f.call(expFloat, size.mul(2)));
  const far = f.let("far", f32(1).sub(f32(2).div(grown.add(1))));
  f.return(size.lt(0.55).select(near, x!.lt(0).select(far.neg(), far)));
});

/** TensorFlow Lite's float form: 1 above a cut, e^x below −9, else 1 / (1 + e^−x). */
export const logisticFloat: Func = defineFunction("logistic_f32", "1 / (1 + e^-x).", { x: "f32" }, "f32", (f, x) => {
  const low = f.let("low", x!.lt(-9));
  const power = f.let("power", f.call(expFloat, low.select(x!, x!.neg())));
  const middle = f.let("middle", f32(1).div(power.add(1)));
  f.return(x!.gt(16.619047164916992).select(f32(1), low.select(power, middle)));
});

/** Exponent of Numerical Recipes' rational Chebyshev form of erfc (fractional error 1.2e-7). */
const ERFC_EXPONENT = [-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277];

export const erfcFloat: Func = defineFunction("erfc_f32", "Complementary error function.", { x: "f32" }, "f32", (f, x) => {
  const size = f.let("size", x!.abs().min(12));
  const t = f.let("t", f32(1).div(size.mul(0.5).add(1)));
  // −x² in two parts, because its rounding error would be multiplied by e^−x².
  const high = f.let("high", bitsToFloat(floatToBits(size).and(-4096)));
  const rest = f.let("rest", high.sub(size).mul(high.add(size)).add(polynomial(t, ERFC_EXPONENT)));
  const value = f.let("value", t.mul(f.call(expFloat, high.mul(high).neg())).mul(f.call(expFloat, rest)));
  f.return(x!.lt(0).select(f32(2).sub(value), value));
});

/** erf x = 2/√π · (x − x³/3 + x⁵/10 − …) near 0, where 1 − erfc would lose its digits. */
const ERF_SERIES = Array.from({ length: 9 }, (_, n) => ((2 / Math.sqrt(Math.PI)) * (n % 2 === 0 ? 1 : -1)) / (factorial(n) * (2 * n + 1)));

export const erfFloat: Func = defineFunction("erf_f32", "Error function.", { x: "f32" }, "f32", (f, x) => {
  const square = f.let("square", x!.mul(x!));
  const near = f.let("near", x!.mul(polynomial(square.min(1), ERF_SERIES)));
  f.return(
    x!
      .abs()
      .lt(0.9)
      .select(near, f32(1).sub(f.call(erfcFloat, x!))),
  );
});

/** atan x = x − x³/3 + x⁵/5 − … */
const ATAN_SERIES = Array.from({ length: 10 }, (_, n) => (n % 2 === 0 ? 1 : -1) / (2 * n + 1));

/** Beyond tan(π/8) the argument is brought near 0: atan x = π/4 + atan((x − 1) / (x + 1)), and π/2 − atan(1/x) beyond tan(3π/8). */
export const atanFloat: Func = defineFunction("atan_f32", "Inverse tangent.", { x: "f32" }, "f32", (f, x) => {
  const size = f.let("size", x!.abs());
  const [far, middle] = [f.let("far", size.gt(2.414213562)), f.let("middle", size.gt(0.4142135624))];
  const moved = f.let("moved", middle.select(size.sub(1).div(size.add(1)), size));
  const t = f.let("t", far.select(f32(-1).div(size), moved));
  const start = f.let("start", far.select(f32(Math.PI / 2), middle.select(f32(Math.PI / 4), f32(0))));
  const result = f.let("result", start.add(t.mul(polynomial(t.mul(t), ATAN_SERIES))));
  f.return(x!.lt(0).select(result.neg(), result));
});

/** π/2 in three parts of few bits, so that small multiples of the first two are exact. */
const HALF_PI = [1.5703125, 4.8351287841796875e-4, 3.13855707645416259765625e-7];
const HALF_PI_REST = Math.PI / 2 - HALF_PI.reduce((a, b) => a + b, 0);

/** sin(x + quarter · π/2); accurate for |x| up to some ten thousand. */
function sineFunction(name: string, doc: string, quarter: number): Func {
  return defineFunction(name, doc, { x: "f32" }, "f32", (f, x) => {
    const turns = f.let(
      "turns",
      x!
        .mul(2 / Math.PI)
        .rint()
        .clamp(-1e9, 1e9),
    );
    const rest = f.let(
      "rest",
      [...HALF_PI, HALF_PI_REST].reduce((r, part) => r.sub(turns.mul(part)), x!),
    );
    const square = f.let("square", rest.mul(rest));
    const sine = f.let("sine", rest.mul(polynomial(square, [1, -1 / 6, 1 / 120, -1 / 5040, 1 / 362880])));
    const cosine = f.let("cosine", polynomial(square, [1, -1 / 2, 1 / 24, -1 / 720, 1 / 40320]));
    const phase = f.let("phase", turns.to("i32").add(quarter));
    const value = f.let("value", phase.and(1).ne(0).select(cosine, sine));
    f.return(phase.and(2).ne(0).select(value.neg(), value));
  });
}

export const sinFloat: Func = sineFunction("sin_f32", "Sine.", 0);
export const cosFloat: Func = sineFunction("cos_f32", "Cosine.", 1);

/** The largest whole number that is not above a / b, as if the division were exact. */
export const floorDivFloat: Func = defineFunction(
  "floor_div_f32",
  "floor(a / b) without the rounding of the division.",
  { a: "f32", b: "f32" },
  "f32",
  (f, a, b) => {
    const quotient = f.let("quotient", a!.div(b!).floor());
    const usable = f.let("usable", quotient.abs().lt(16777216).and(b!.abs().lt(1e30)));
    const { product, error } = exactProduct(f, f.let("q", usable.select(quotient, f32(0))), f.let("divisor", usable.select(b!, f32(1))));
    // Above 0 where quotient · b is nearer to zero than a (or beyond it with the other sign of b).
    const rest = f.let("rest", a!.sub(product).sub(error));
    const over = f.let("over", usable.and(b!.gt(0).select(rest.lt(0), rest.gt(0))));
    f.return(over.select(quotient.sub(1), quotient));
  },
);

/** The exact remainder, with the sign of b, by long division. */
export const floorModFloat: Func = defineFunction("floor_mod_f32", "a - floor(a / b) * b, exactly.", { a: "f32", b: "f32" }, "f32", (f, a, b) => {
  const divisor = f.let("divisor", b!.abs());
  const rest = f.variable("rest", a!.abs());
  const step = f.variable("step", divisor);
  // Bits of the quotient; 24 more where the divisor is subnormal and its exponent says nothing.
  const bits = f.let("bits", floatToBits(rest.get()).shr(23).sub(floatToBits(divisor).shr(23)).add(25).max(1));
  f.for("up", 0, bits, () => f.if(step.get().add(step.get()).le(rest.get()), () => step.set(step.get().add(step.get()))));
  f.for("down", 0, bits, () => {
    f.if(rest.get().ge(step.get()), () => rest.set(rest.get().sub(step.get())));
    f.if(step.get().gt(divisor), () => step.set(step.get().mul(0.5)));
  });
  const signed = f.let("signed", a!.lt(0).select(rest.get().neg(), rest.get()));
  const moved = f.let(
    "moved",
    signed
      .ne(0)
      .and(signed.lt(0).ne(b!.lt(0)))
      .select(signed.add(b!), signed),
  );
  f.return(b!.eq(0).select(NAN, moved));
});
