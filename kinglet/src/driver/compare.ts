import { type DType, fromBytes } from "../base/index.ts";

/** How far a schedule's floats may lie from the plain loops', relative to max(1, |x|). */
export const FLOAT_TOLERANCE = 1e-5;

/** The first element of two tensors that differs, or null. */
export interface Difference {
  readonly index: number;
  readonly got: number | bigint;
  readonly expected: number | bigint;
}

function isClose(got: number, expected: number): boolean {
  if (Object.is(got, expected) || got === expected) return true;
  return Math.abs(got - expected) <= FLOAT_TOLERANCE * Math.max(1, Math.abs(expected));
}

/** Integers must be equal, floats close. */
export function firstDifference(dtype: DType, got: Uint8Array, expected: Uint8Array): Difference | null {
  const [a, b] = [fromBytes(dtype, got), fromBytes(dtype, expected)];
  const close = dtype === "float32" || dtype === "float64";
  const length = Math.max(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const [x, y] = [a[index] ?? Number.NaN, b[index] ?? Number.NaN];
    const same = close ? isClose(x as number, y as number) : x === y;
    if (!same) return { index, got: x, expected: y };
  }
  return null;
}

export function differenceText({ index, got, expected }: Difference): string {
  return `element ${index} is ${got}, expected ${expected}`;
}
