import { JS_PRELUDE, printJsFunction } from "../../loops/index.ts";
import { requantize, roundingShift } from "../../ops/index.ts";
import { requantizeSmall } from "./layer.ts";

type Requantize = (x: number, multiplier: number, shift: number) => number;

const text = [roundingShift, requantize, requantizeSmall].map(printJsFunction).join("\n");
const made = new Function(`${JS_PRELUDE}\n${text}\nreturn { exact: requantize, small: requantize_small };`)() as Record<"exact" | "small", Requantize>;

/** Runs a requantization as its printed loops define it. */
export function call(which: "exact" | "small", x: number, multiplier: number, shift: number): number {
  return made[which](x, multiplier, shift);
}

/** Ties on both sides of zero, and the ends of the ranges. */
export const requantizeCases: [number, number, number][] = [
  [3, 2 ** 30, 1], [-3, 2 ** 30, 1], [1, 2 ** 30, 1], [-1, 2 ** 30, 1], [6, 2 ** 30, 2], [-6, 2 ** 30, 2],
  [2 ** 30 - 1, 2 ** 31 - 1, 1], [-(2 ** 30) + 1, 2 ** 31 - 1, 1], [2 ** 30 - 1, 2 ** 31 - 1, 30], [-(2 ** 30) + 1, 2 ** 31 - 1, 30],
];
