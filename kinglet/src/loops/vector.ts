import { Expr } from "./expr.ts";
import type { ValueKind } from "./types.ts";

/** The signature of a vector operation. `plain` gives its meaning for one lane. */
export interface VectorOp {
  readonly args: readonly ValueKind[];
  readonly result: ValueKind;
  /** Operations that read a constant lane number. */
  readonly lane?: boolean;
  /** The SIMD128 opcode (the number after the 0xFD prefix). */
  readonly opcode: number;
}

/** The 128-bit operations that schedules use; the meaning of each is that of the WebAssembly instruction of its name. */
export const VECTOR_OPS = {
  "i32x4.splat": { args: ["i32"], result: "i32x4", opcode: 0x11 },
  "i16x8.splat": { args: ["i32"], result: "i16x8", opcode: 0x10 },
  "f32x4.splat": { args: ["f32"], result: "f32x4", opcode: 0x13 },
  "i32x4.extract_lane": { args: ["i32x4"], result: "i32", lane: true, opcode: 0x1b },
  "f32x4.extract_lane": { args: ["f32x4"], result: "f32", lane: true, opcode: 0x1f },
  "i32x4.add": { args: ["i32x4", "i32x4"], result: "i32x4", opcode: 0xae },
  "i32x4.sub": { args: ["i32x4", "i32x4"], result: "i32x4", opcode: 0xb1 },
  "i32x4.mul": { args: ["i32x4", "i32x4"], result: "i32x4", opcode: 0xb5 },
  "i16x8.add": { args: ["i16x8", "i16x8"], result: "i16x8", opcode: 0x8e },
  "i16x8.sub": { args: ["i16x8", "i16x8"], result: "i16x8", opcode: 0x91 },
  "i16x8.mul": { args: ["i16x8", "i16x8"], result: "i16x8", opcode: 0x95 },
  "i32x4.dot_i16x8_s": { args: ["i16x8", "i16x8"], result: "i32x4", opcode: 0xba },
  "i32x4.extmul_low_i16x8_s": { args: ["i16x8", "i16x8"], result: "i32x4", opcode: 0xbc },
  "i32x4.extmul_high_i16x8_s": { args: ["i16x8", "i16x8"], result: "i32x4", opcode: 0xbd },
  "f32x4.add": { args: ["f32x4", "f32x4"], result: "f32x4", opcode: 0xe4 },
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
