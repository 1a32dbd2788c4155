import { inferSame } from "./activations.ts";
import { makeCase, oneType, typed, unaryLoops } from "./elementwise.ts";
import { bitsToFloat, f32, floatToBits, i32 } from "../loops/index.ts";
import { attributesOf, type OpDef } from "./op.ts";

export interface RoundFloatAttributes {
  /** Bits of the mantissa without its leading one; 10 for half precision, 7 for bfloat16. */
  readonly mantissaBits: number;
  /** The exponent of the smallest normal number: −14 for half precision. Below it numbers are evenly spaced. */
  readonly smallestExponent: number;
  /** The largest finite number. */
  readonly largest: number;
  /** What rounds to more than that: an infinity, not a number, or the largest number. Infinities go with it. */
  readonly beyond: "infinity" | "nan" | "largest";
}

const HALF: RoundFloatAttributes = { mantissaBits: 10, smallestExponent: -14, largest: 65504, beyond: "infinity" };
const EXAMPLES: readonly (readonly [string, RoundFloatAttributes])[] = [
  ["half precision", HALF],
  ["bfloat16", { mantissaBits: 7, smallestExponent: -126, largest: 3.3895313892515355e38, beyond: "infinity" }],
  ["8 bits, not a number", { mantissaBits: 3, smallestExponent: -6, largest: 448, beyond: "nan" }],
  ["4 bits", { mantissaBits: 1, smallestExponent: 0, largest: 6, beyond: "largest" }],
];

/** Floats as a format of fewer bits holds them, ties to the even neighbour; the result is float32 still. */
export const roundFloat: OpDef = {
  name: "roundFloat",
  infer: inferSame("roundFloat"),
  loops(k, node) {
    const a = attributesOf<RoundFloatAttributes>(node);
    oneType(node, ["float32"]);
    const largest = k.float("largest", a.largest);
    const drop = k.int("dropped_bits", 23 - a.mantissaBits);
    unaryLoops(k, node, (x) => {
      const bits = k.let("bits", floatToBits(x.abs()));
      // Half of the last kept bit, less one where that bit is 0: a carry then rounds ties to even.
      const odd = bits.shr(drop).and(1);
      const rounded = k.let(
        "rounded",
        bits
          .add(i32(1).shl(drop.sub(1)).sub(1))
          .add(odd)
          .shr(drop)
          .shl(drop),
      );
      const normal = k.let("normal", bitsToFloat(rounded));
      // Below the normal range numbers are multiples of one unit.
      const unit = k.float("unit", Math.max(2 ** (a.smallestExponent - a.mantissaBits), 2 ** -126));
      const small = k.let("small", x.abs().lt(k.float("smallest", 2 ** a.smallestExponent)));
      const size = k.let("size", small.and(i32(a.smallestExponent > -126 ? 1 : 0)).select(x.abs().div(unit).rint().mul(unit), normal));
      const far = a.beyond === "infinity" ? f32(Infinity) : a.beyond === "nan" ? f32(Number.NaN) : largest;
      const result = k.let("result", size.gt(largest).select(far, size));
      return x.ne(x).select(x, floatToBits(x).lt(0).select(result.neg(), result));
    });
    return k.finish(`round_float_${a.beyond}${a.smallestExponent > -126 ? "" : "_wide"}`, "Floats as a format of fewer bits holds them.");
  },
  cases: EXAMPLES.map(([name, attributes]) =>
    makeCase(name, [{ ...typed("float32", [200]), low: -500, high: 500 }], typed("float32", [200]), { ...attributes }),
  ),
};
