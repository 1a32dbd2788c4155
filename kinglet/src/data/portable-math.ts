/**
 * Functions made of additions, multiplications and divisions only, which every engine rounds alike; the last bit of Math.exp, Math.log
 * and Math.sin is each engine's own. Accurate to about 1e-14.
 */

const TERMS = 24;

/** e to the power of `x`, for |x| below 700. */
export function exp(x: number): number {
  const twos = Math.round(x / Math.LN2);
  const rest = x - twos * Math.LN2;
  let [sum, term] = [1, 1];
  for (let i = 1; i < TERMS; i++) {
    term = (term * rest) / i;
    sum += term;
  }
  return sum * powerOfTwo(twos);
}

/** Exact: products of powers of two are never rounded. */
function powerOfTwo(exponent: number): number {
  let out = 1;
  for (let i = 0; i < Math.abs(exponent); i++) out *= exponent > 0 ? 2 : 0.5;
  return out;
}

/** The natural logarithm of `x` above 0. */
export function log(x: number): number {
  let [mantissa, twos] = [x, 0];
  for (; mantissa > 1.5; twos++) mantissa /= 2;
  for (; mantissa < 0.75; twos--) mantissa *= 2;
  const ratio = (mantissa - 1) / (mantissa + 1);
  let [sum, power] = [0, ratio];
  for (let i = 1; i < 2 * TERMS; i += 2) {
    sum += power / i;
    power *= ratio * ratio;
  }
  return 2 * sum + twos * Math.LN2;
}

/** Sine and cosine of an angle in radians, for |x| up to about 4. */
export function sineAndCosine(x: number): { sine: number; cosine: number } {
  let [sine, cosine, term] = [0, 0, 1];
  for (let i = 0; i < 2 * TERMS; i++) {
    const signed = i % 4 < 2 ? term : -term;
    if (i % 2 === 0) cosine += signed;
    else sine += signed;
    term = (term * x) / (i + 1);
  }
  return { sine, cosine };
}
