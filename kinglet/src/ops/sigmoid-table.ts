import { type Buffer, type Expr, i32, type KernelBuilder } from "../loops/index.ts";

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

/** The table between its knots, `size` having `bits` fraction bits; the last knot stands for all beyond. */
function interpolate(k: KernelBuilder, table: Buffer, size: Expr, bits: number, largest: number): Expr {
  const knot = k.let("knot", size.shr(bits));
  const inside = k.let("inside", knot.min(254));
  const first = k.let("first", table.load(inside));
  const step = table.load(inside.add(1)).sub(first);
  const between = first.shl(bits).add(size.and(2 ** bits - 1).mul(step));
  return k.let("height", knot.ge(255).select(i32(largest), between));
}

/** Sigmoid of an argument in steps of 1 / (3 · 4096) as Q0.15: the knots lie 512 steps apart. */
export function shortLogistic(k: KernelBuilder, table: Buffer, x: Expr): Expr {
  const height = interpolate(k, table, k.let("size", x.abs()), 9, 0x7fff * 1024);
  return x
    .ge(0)
    .select(height.add(512), i32(2 ** 25 + 511).sub(height))
    .shr(10);
}

/** tanh(x) = 2 · sigmoid(2x) − 1 of an argument in steps of 1 / (3 · 4096), as Q0.15. */
export function shortTanh(k: KernelBuilder, table: Buffer, x: Expr): Expr {
  const height = interpolate(k, table, k.let("size", x.abs()), 8, 0xffff * 256);
  return x
    .ge(0)
    .select(height.sub(2 ** 23 - 128), i32(2 ** 23 + 127).sub(height))
    .shr(8);
}
