import { Expr } from "./expr.ts";
import type { ValueKind } from "./types.ts";

/** The signature of a vector operation. `plain` gives its meaning for one lane. */
export interface VectorOp {
  readonly args: readonly ValueKind[];
  readonly result: ValueKind;
  /** Operations that read a constant lane number. */
  readonly lane?: boolean;
  /** The SIMD128 opcode (the number after the 0xFD prefix); none where the bits stay as they are. */
  readonly opcode?: number;
  /** The lanes that a shuffle takes, byte by byte: 0 to 15 of the first operand, 16 to 31 of the second. */
  readonly bytes?: readonly number[];
}

const SHUFFLE = 0x0d;

/** The bytes of lanes that are `size` bytes wide. */
function lanes(size: number, list: readonly number[]): number[] {
  return list.flatMap((lane) => Array.from({ length: size }, (_, byte) => lane * size + byte));
}

/**
 * The 128-bit operations that schedules use; the meaning of each is that of the WebAssembly instruction of its name.
 * `multiply_add` is a · b + c, rounded after each of the two, or once in modules with relaxed SIMD.
 * `add_dot_u8_s8` adds to each lane of its last operand four products of bytes, unsigned by signed, without losing a bit;
 * only some engines with relaxed SIMD have an instruction for it (see `dotProbe`), elsewhere it is written out.
 * Shuffles have names of their own: `interleave` takes lanes from both operands in turn, `odd` the lanes 1, 3, … of both.
 */
export const VECTOR_OPS = {
  "i32x4.splat": { args: ["i32"], result: "i32x4", opcode: 0x11 },
  "i16x8.splat": { args: ["i32"], result: "i16x8", opcode: 0x10 },
  "f32x4.splat": { args: ["f32"], result: "f32x4", opcode: 0x13 },
  "i32x4.extract_lane": { args: ["i32x4"], result: "i32", lane: true, opcode: 0x1b },
  "f32x4.extract_lane": { args: ["f32x4"], result: "f32", lane: true, opcode: 0x1f },
  "i32x4.add": { args: ["i32x4", "i32x4"], result: "i32x4", opcode: 0xae },
  "i32x4.sub": { args: ["i32x4", "i32x4"], result: "i32x4", opcode: 0xb1 },
  "i32x4.mul": { args: ["i32x4", "i32x4"], result: "i32x4", opcode: 0xb5 },
  "i32x4.shr_s": { args: ["i32x4", "i32"], result: "i32x4", opcode: 0xac },
  "i32x4.and": { args: ["i32x4", "i32x4"], result: "i32x4", opcode: 0x4e },
  "i32x4.or": { args: ["i32x4", "i32x4"], result: "i32x4", opcode: 0x50 },
  "i32x4.extend_low_i16x8_s": { args: ["i16x8"], result: "i32x4", opcode: 0xa7 },
  "i32x4.extend_high_i16x8_s": { args: ["i16x8"], result: "i32x4", opcode: 0xa8 },
  "i64x2.add": { args: ["i64x2", "i64x2"], result: "i64x2", opcode: 0xce },
  "i64x2.extmul_low_i32x4_s": { args: ["i32x4", "i32x4"], result: "i64x2", opcode: 0xdc },
  "i64x2.extmul_high_i32x4_s": { args: ["i32x4", "i32x4"], result: "i64x2", opcode: 0xdd },
  "i32x4.odd": { args: ["i64x2", "i64x2"], result: "i32x4", opcode: SHUFFLE, bytes: lanes(4, [1, 3, 5, 7]) },
  "i16x8.interleave_low": { args: ["i16x8", "i16x8"], result: "i16x8", opcode: SHUFFLE, bytes: lanes(2, [0, 8, 1, 9, 2, 10, 3, 11]) },
  "i16x8.interleave_high": { args: ["i16x8", "i16x8"], result: "i16x8", opcode: SHUFFLE, bytes: lanes(2, [4, 12, 5, 13, 6, 14, 7, 15]) },
  "i8x16.interleave_low": {
    args: ["i8x16", "i8x16"],
    result: "i8x16",
    opcode: SHUFFLE,
    bytes: [0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23],
  },
  "i16x8.of_i8x16": { args: ["i8x16"], result: "i16x8" },
  "i8x16.of_i16x8": { args: ["i16x8"], result: "i8x16" },
  "i32x4.add_dot_u8_s8": { args: ["i8x16", "i8x16", "i32x4"], result: "i32x4" },
  "i16x8.narrow_i32x4_s": { args: ["i32x4", "i32x4"], result: "i16x8", opcode: 0x85 },
  "i8x16.narrow_i16x8_s": { args: ["i16x8", "i16x8"], result: "i8x16", opcode: 0x65 },
  "i8x16.narrow_i16x8_u": { args: ["i16x8", "i16x8"], result: "i8x16", opcode: 0x66 },
  "i16x8.extract_lane_s": { args: ["i16x8"], result: "i32", lane: true, opcode: 0x18 },
  "i16x8.min_s": { args: ["i16x8", "i16x8"], result: "i16x8", opcode: 0x96 },
  "i16x8.max_s": { args: ["i16x8", "i16x8"], result: "i16x8", opcode: 0x98 },
  "i16x8.add": { args: ["i16x8", "i16x8"], result: "i16x8", opcode: 0x8e },
  "i16x8.sub": { args: ["i16x8", "i16x8"], result: "i16x8", opcode: 0x91 },
  "i16x8.mul": { args: ["i16x8", "i16x8"], result: "i16x8", opcode: 0x95 },
  "i32x4.dot_i16x8_s": { args: ["i16x8", "i16x8"], result: "i32x4", opcode: 0xba },
  "i32x4.extmul_low_i16x8_s": { args: ["i16x8", "i16x8"], result: "i32x4", opcode: 0xbc },
  "i32x4.extmul_high_i16x8_s": { args: ["i16x8", "i16x8"], result: "i32x4", opcode: 0xbd },
  "f32x4.convert_i32x4_s": { args: ["i32x4"], result: "f32x4", opcode: 0xfa },
  "i32x4.of_f32x4": { args: ["f32x4"], result: "i32x4" },
  "f32x4.of_i32x4": { args: ["i32x4"], result: "f32x4" },
  "f32x4.pmin": { args: ["f32x4", "f32x4"], result: "f32x4", opcode: 0xea },
  "f32x4.pmax": { args: ["f32x4", "f32x4"], result: "f32x4", opcode: 0xeb },
  "f32x4.multiply_add": { args: ["f32x4", "f32x4", "f32x4"], result: "f32x4" },
  "f32x4.add": { args: ["f32x4", "f32x4"], result: "f32x4", opcode: 0xe4 },
  "f32x4.sub": { args: ["f32x4", "f32x4"], result: "f32x4", opcode: 0xe5 },
  "f32x4.sqrt": { args: ["f32x4"], result: "f32x4", opcode: 0xe3 },
  "f32x4.gt": { args: ["f32x4", "f32x4"], result: "i32x4", opcode: 0x44 },
  "f32x4.lt": { args: ["f32x4", "f32x4"], result: "i32x4", opcode: 0x43 },
  "f32x4.div": { args: ["f32x4", "f32x4"], result: "f32x4", opcode: 0xe7 },
  "f32x4.mul": { args: ["f32x4", "f32x4"], result: "f32x4", opcode: 0xe6 },
} as const satisfies Record<string, VectorOp>;

export type VectorOpName = keyof typeof VECTOR_OPS;

/** A vector operation on typed operands. @throws TypeError where a type does not fit. */
export function vector(op: VectorOpName, args: readonly Expr[], lane?: number): Expr {
  const spec: VectorOp = VECTOR_OPS[op];
  spec.args.forEach((type, i) => {
    if (args[i]?.type !== type) throw new TypeError(`${op} takes ${spec.args.join(", ")}`);
  });
  return new Expr(spec.result, lane === undefined ? { kind: "vector", op, args } : { kind: "vector", op, args, lane });
}
