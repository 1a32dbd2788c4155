import type { DType } from "../base/index.ts";
import { constant, type Expr, type KernelBuilder } from "../loops/index.ts";
import { inferSame } from "./activations.ts";
import { inferBinary } from "./arithmetic.ts";
import { binaryLoops, makeCase, oneType, typed, unaryLoops } from "./elementwise.ts";
import { type OpDef, suffixOf } from "./op.ts";

/** Operators on the bits of whole numbers. */

const WHOLE: readonly DType[] = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"];
const SHAPE = [3, 7];

function bitwise(
  name: string,
  kernel: string,
  doc: string,
  combine: (k: KernelBuilder, a: Expr, b: Expr, dtype: DType) => Expr,
  high?: number,
): OpDef {
  const second = (dtype: DType): ReturnType<typeof typed> => (high === undefined ? typed(dtype, [7]) : { ...typed(dtype, [7]), low: 0, high });
  return {
    name,
    infer: inferBinary(name),
    loops(k, node) {
      const dtype = oneType(node, WHOLE);
      binaryLoops(k, node, (a, b) => combine(k, a, b, dtype));
      return k.finish(`${kernel}_${suffixOf(dtype)}`, doc);
    },
    cases: WHOLE.map((dtype) => makeCase(dtype, [typed(dtype, SHAPE), second(dtype)], typed(dtype, SHAPE))),
  };
}

export const bitwiseAnd = bitwise("bitwiseAnd", "bitwise_and", "Bits that are set in both.", (_, a, b) => a.and(b));
export const bitwiseOr = bitwise("bitwiseOr", "bitwise_or", "Bits that are set in either.", (_, a, b) => a.or(b));
export const bitwiseXor = bitwise("bitwiseXor", "bitwise_xor", "Bits that are set in one.", (_, a, b) => a.xor(b));

/** Shifts by all bits or more give 0; the loop language leaves them open. */
function bounded(k: KernelBuilder, by: Expr, bits: number, shifted: (by: Expr) => Expr): Expr {
  const inside = k.let("inside", by.ge(0).and(by.lt(bits)));
  return inside.select(shifted(inside.select(by, constant(0, by.type))), constant(0, by.type));
}

const bitsOf = (type: string): number => (type === "i64" ? 64 : 32);

export const shiftLeft: OpDef = bitwise(
  "shiftLeft",
  "shift_left",
  "Bits moved to higher places.",
  (k, a, b) => bounded(k, b, bitsOf(a.type), (by) => a.shl(by)),
  9,
);

/** Unsigned numbers get zeros from above, signed ones their sign. */
export const shiftRight: OpDef = bitwise(
  "shiftRight",
  "shift_right",
  "Bits moved to lower places.",
  (k, a, b, dtype) => bounded(k, b, bitsOf(a.type), (by) => (dtype.startsWith("uint") ? a.shru(by) : a.shr(by))),
  9,
);

export const bitwiseNot: OpDef = {
  name: "bitwiseNot",
  infer: inferSame("bitwiseNot"),
  loops(k, node) {
    const dtype = oneType(node, WHOLE);
    unaryLoops(k, node, (x) => x.xor(-1));
    return k.finish(`bitwise_not_${suffixOf(dtype)}`, "Every bit turned.");
  },
  cases: WHOLE.map((dtype) => makeCase(dtype, [typed(dtype, SHAPE)], typed(dtype, SHAPE))),
};
