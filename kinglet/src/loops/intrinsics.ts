import { Expr, i64 } from "./expr.ts";
import type { ScalarType } from "./types.ts";

/** A step that some machine has as one instruction, with its meaning in plain expressions. */
export interface Intrinsic {
  readonly doc: string;
  readonly args: readonly ScalarType[];
  readonly result: ScalarType;
  /** The meaning. Arguments are locals or constants, so they may be used more than once. */
  plain(...args: Expr[]): Expr;
}

function half(a: Expr, high: boolean): Expr {
  return high ? a.shr(16) : a.shl(16).shr(16);
}

function byte(a: Expr, index: number): Expr {
  return a.shl(24 - 8 * index).shr(24);
}

/** Two signed 16-bit lanes packed into 32 bits. */
function pack(low: Expr, high: Expr): Expr {
  return low.and(0xffff).or(high.shl(16));
}

export type IntrinsicName =
  | "roundingHighMul"
  | "roundingHighMulSmall"
  | "saturate8"
  | "addHighHalf"
  | "addProduct"
  | "addAside"
  | "addShiftedProduct"
  | "addMaskedProduct"
  | "smlad"
  | "smlabt"
  | "smlatb"
  | "pkhbt"
  | "pkhtb"
  | "sadd16"
  | "ssub16"
  | "smmla"
  | "smmulr"
  | "sxtb16"
  | "sxtb16High"
  | "sxtab16"
  | "sxtab16High"
  | "multiplyAdd";

export const INTRINSICS: Readonly<Record<IntrinsicName, Intrinsic>> = {
  roundingHighMul: {
    doc: "floor((a * b + 2^30) / 2^31); a and b are not both -2^31",
    args: ["i32", "i32"],
    result: "i32",
    plain: (a, b) =>
      a
        .to("i64")
        .mul(b.to("i64"))
        .add(i64(1 << 30))
        .shr(31)
        .to("i32"),
  },
  roundingHighMulSmall: {
    doc: "roundingHighMul where |a| < 2^30, which Armv7E-M does in SMMULR of 2a",
    args: ["i32", "i32"],
    result: "i32",
    plain: (a, b) =>
      a
        .to("i64")
        .mul(b.to("i64"))
        .add(i64(1 << 30))
        .shr(31)
        .to("i32"),
  },
  addHighHalf: {
    doc: "a + h where b = 2^16 h + l, l is a signed half and b < 2^31 - 2^15 (Armv6-M ASRS, whose carry is the sign of l, and ADCS)",
    args: ["i32", "i32"],
    result: "i32",
    plain: (a, b) => a.add(b.wrapAdd(2 ** 15).shr(16)),
  },
  addProduct: {
    doc: "acc + a * b, modulo 2^32; b is not needed any more (Armv6-M MULS, which overwrites it, and ADDS)",
    args: ["i32", "i32", "i32"],
    result: "i32",
    plain: (acc, a, b) => acc.wrapAdd(a.wrapMul(b)),
  },
  addAside: {
    doc: "acc + a, modulo 2^32, where little else is done with acc (Armv6-M: it stays in an upper register, which additions reach)",
    args: ["i32", "i32"],
    result: "i32",
    plain: (acc, a) => acc.wrapAdd(a),
  },
  addShiftedProduct: {
    doc: "acc + a * (b >> 8 without sign), modulo 2^32: see addMaskedProduct",
    args: ["i32", "i32", "i32"],
    result: "i32",
    plain: (acc, a, b) => acc.wrapAdd(a.wrapMul(b.shru(8))),
  },
  addMaskedProduct: {
    doc: "acc + a * (b & mask), modulo 2^32: products of every other byte of b (Armv6-M, RISC-V: fixed steps)",
    args: ["i32", "i32", "i32", "i32"],
    result: "i32",
    plain: (acc, a, b, mask) => acc.wrapAdd(a.wrapMul(b.and(mask))),
  },
  saturate8: {
    doc: "a limited to -128 to 127 (Armv7E-M SSAT)",
    args: ["i32"],
    result: "i32",
    plain: (a) => a.clamp(-128, 127),
  },
  smlad: {
    doc: "acc + low(a) * low(b) + high(a) * high(b) of signed 16-bit halves, modulo 2^32 (Armv7E-M SMLAD)",
    args: ["i32", "i32", "i32"],
    result: "i32",
    plain: (a, b, acc) => acc.wrapAdd(half(a, false).mul(half(b, false))).wrapAdd(half(a, true).mul(half(b, true))),
  },
  smlabt: {
    doc: "acc + low(a) * high(b) of signed 16-bit halves, modulo 2^32 (Armv7E-M SMLABT)",
    args: ["i32", "i32", "i32"],
    result: "i32",
    plain: (a, b, acc) => acc.wrapAdd(half(a, false).mul(half(b, true))),
  },
  smlatb: {
    doc: "acc + high(a) * low(b) of signed 16-bit halves, modulo 2^32 (Armv7E-M SMLATB)",
    args: ["i32", "i32", "i32"],
    result: "i32",
    plain: (a, b, acc) => acc.wrapAdd(half(a, true).mul(half(b, false))),
  },
  pkhbt: {
    doc: "the low half of a, and above it the low half of b (Armv7E-M PKHBT)",
    args: ["i32", "i32"],
    result: "i32",
    plain: (a, b) => pack(a, b),
  },
  pkhtb: {
    doc: "the high half of a, and above it the high half of b (Armv7E-M PKHTB)",
    args: ["i32", "i32"],
    result: "i32",
    plain: (a, b) => a.shru(16).or(b.and(-65536)),
  },
  sadd16: {
    doc: "the two 16-bit halves of a and b added, each modulo 2^16 (Armv7E-M SADD16)",
    args: ["i32", "i32"],
    result: "i32",
    plain: (a, b) => pack(half(a, false).add(half(b, false)), half(a, true).add(half(b, true))),
  },
  smmla: {
    doc: "acc + floor(a * b / 2^32), modulo 2^32 (Armv7E-M SMMLA)",
    args: ["i32", "i32", "i32"],
    result: "i32",
    plain: (a, b, acc) => acc.wrapAdd(a.to("i64").mul(b.to("i64")).shr(32).to("i32")),
  },
  smmulr: {
    doc: "floor((a * b + 2^31) / 2^32) (Armv7E-M SMMULR)",
    args: ["i32", "i32"],
    result: "i32",
    plain: (a, b) =>
      a
        .to("i64")
        .mul(b.to("i64"))
        .add(i64(2 ** 31))
        .shr(32)
        .to("i32"),
  },
  ssub16: {
    doc: "the two 16-bit halves of a less those of b, each modulo 2^16 (Armv7E-M SSUB16)",
    args: ["i32", "i32"],
    result: "i32",
    plain: (a, b) => pack(half(a, false).sub(half(b, false)), half(a, true).sub(half(b, true))),
  },
  sxtb16: {
    doc: "bytes 0 and 2, sign-extended into two 16-bit halves (Armv7E-M SXTB16)",
    args: ["i32"],
    result: "i32",
    plain: (a) => pack(byte(a, 0), byte(a, 2)),
  },
  sxtb16High: {
    doc: "bytes 1 and 3, sign-extended into two 16-bit halves (Armv7E-M SXTB16 with ROR 8)",
    args: ["i32"],
    result: "i32",
    plain: (a) => pack(byte(a, 1), byte(a, 3)),
  },
  sxtab16: {
    doc: "bytes 0 and 2 of a, sign-extended, plus the two 16-bit halves of b (Armv7E-M SXTAB16)",
    args: ["i32", "i32"],
    result: "i32",
    plain: (a, b) => pack(byte(a, 0).add(half(b, false)), byte(a, 2).add(half(b, true))),
  },
  sxtab16High: {
    doc: "bytes 1 and 3 of a, sign-extended, plus the two 16-bit halves of b (Armv7E-M SXTAB16 with ROR 8)",
    args: ["i32", "i32"],
    result: "i32",
    plain: (a, b) => pack(byte(a, 1).add(half(b, false)), byte(a, 3).add(half(b, true))),
  },
  multiplyAdd: {
    doc: "a * b + c; a machine that has it may round once instead of twice",
    args: ["f32", "f32", "f32"],
    result: "f32",
    plain: (a, b, c) => c.add(a.mul(b)),
  },
};

/** An intrinsic applied to its arguments. @throws TypeError where a type does not fit. */
export function intrinsic(name: IntrinsicName, ...args: Expr[]): Expr {
  const spec: Intrinsic = INTRINSICS[name];
  spec.args.forEach((type, i) => {
    if (args[i]?.type !== type) throw new TypeError(`${name} takes ${spec.args.join(", ")}`);
  });
  return new Expr(spec.result, { kind: "intrinsic", name, args });
}
