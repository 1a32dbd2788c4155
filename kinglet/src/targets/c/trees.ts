import { floatToBits, type KernelBuilder } from "../../loops/index.ts";
import { inputOf, type Question, type Schedule, THRESHOLDS, treeLoops } from "../../ops/index.ts";

/**
 * Trees on cores without floating-point instructions: the bits of floats, seen as integers, have the order of the floats once those of
 * negative ones are turned. All are moved so that −∞ is the least integer there is: then whatever is not a number lies beyond +∞.
 */

const SIGN = 0x7fffffff;
const MOVED = -(2 ** 23 - 1);
const INFINITE = 0x7f800000 + MOVED;

/** A threshold's place in that order. Nothing lies between the two zeros: the upper one serves for both. */
function placeOf(threshold: number): number {
  const bits = new Int32Array(Float32Array.of(threshold + 0).buffer)[0]!;
  return ((bits ^ ((bits >> 31) & SIGN)) + MOVED) | 0;
}

function integerQuestion(k: KernelBuilder, thresholds: Float32Array): Question {
  const places = k.constant("thresholds", "i32", Int32Array.from(thresholds, placeOf));
  return (at, value) => {
    const bits = k.let("bits", floatToBits(value));
    const place = k.let("place", bits.xor(bits.shr(31).and(SIGN)).wrapAdd(MOVED));
    return { within: place.le(places.load(at)), notNumber: place.gt(INFINITE) };
  };
}

export const treeSchedule: Schedule = (node) => {
  const { data } = inputOf(node, THRESHOLDS);
  if (!(data instanceof Float32Array)) return undefined;
  return (k) => treeLoops(k, node, (builder) => integerQuestion(builder, data), "ordered");
};
