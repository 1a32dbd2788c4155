/** Table knots for one unit of the argument. */
const KNOTS = 24;

/**
 * The 256 knots sigmoid(i / 24) · 2^16 that TensorFlow Lite's 16-bit sigmoid and tanh interpolate between.
 * A chord of a curve errs by up to h²/8 of its second derivative; every knot is moved by half of that, so that the
 * error of the straight lines is spread to both sides. The last knot is the bound for all larger arguments.
 */
export function sigmoidTable(): Uint16Array {
  return Uint16Array.from({ length: 256 }, (_, i) => {
    const p = 1 / (1 + Math.exp(-i / KNOTS));
    const bend = (p * (1 - p) * (1 - 2 * p)) / (KNOTS * KNOTS);
    return i === 255 ? 65535 : Math.round(65536 * (p - bend / 16));
  });
}
