import { type Shape, stridesOf } from "./shape.ts";
import type { TypedArray } from "./dtype.ts";

/** An order of dimensions: dimension d of the result is dimension `permutation[d]` of what it is made from. */
export type Permutation = readonly number[];

export const identityPermutation = (rank: number): number[] => Array.from({ length: rank }, (_, d) => d);
export const isIdentity = (p: Permutation): boolean => p.every((d, i) => d === i);
export const inverseOf = (p: Permutation): number[] => p.map((_, d) => p.indexOf(d));
/** A list by dimension in another order; applied to a permutation, both one after the other. */
export const permuted = <T>(list: readonly T[], p: Permutation): T[] => p.map((d) => list[d]!);

/** A transpose that moves dimensions of one element only leaves every element where it lies. */
export function keepsOrder(shape: Shape, p: Permutation): boolean {
  const long = p.filter((d) => shape[d] !== 1);
  return long.every((d, i) => i === 0 || long[i - 1]! < d);
}

/** The elements of a tensor of this shape, transposed. */
export function permuteData<T extends TypedArray>(data: T, shape: Shape, p: Permutation): T {
  const out = data.slice() as T;
  const strides = permuted(stridesOf(shape), p);
  const sizes = permuted(shape, p);
  const index = sizes.map(() => 0);
  for (let i = 0, at = 0; i < data.length; i++) {
    out[i] = data[at]!;
    for (let d = sizes.length - 1; d >= 0; d--) {
      index[d]!++;
      at += strides[d]!;
      if (index[d]! < sizes[d]!) break;
      at -= strides[d]! * sizes[d]!;
      index[d] = 0;
    }
  }
  return out;
}
