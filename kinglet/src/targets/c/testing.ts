import { compileHelper } from "../../loops/index.ts";
import { requantize } from "../../ops/index.ts";
import { requantizeSmall } from "./layer.ts";

const made = { exact: compileHelper(requantize), small: compileHelper(requantizeSmall) };

/** Runs a requantization as its printed loops define it. */
export function call(which: "exact" | "small", x: number, multiplier: number, shift: number): number {
  return made[which](x, multiplier, shift);
}

/** Ties on both sides of zero, and the ends of the ranges. */
export const requantizeCases: [number, number, number][] = [
  [3, 2 ** 30, 1],
  [-3, 2 ** 30, 1],
  [1, 2 ** 30, 1],
  [-1, 2 ** 30, 1],
  [6, 2 ** 30, 2],
  [-6, 2 ** 30, 2],
  [2 ** 30 - 1, 2 ** 31 - 1, 1],
  [-(2 ** 30) + 1, 2 ** 31 - 1, 1],
  [2 ** 30 - 1, 2 ** 31 - 1, 30],
  [-(2 ** 30) + 1, 2 ** 31 - 1, 30],
];
