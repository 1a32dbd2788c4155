import type { BinaryOp, CompareOp, UnaryOp } from "./expr.ts";
import type { MemoryType, ScalarType, ValueKind } from "./types.ts";
import { isVector } from "./types.ts";
import { VALUE, type WasmType } from "./wasm-encoder.ts";

/** Instruction numbers, named as in the WebAssembly specification. */
export const OP = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br_if: 0x0d,
  call: 0x10,
  select: 0x1b,
  local_get: 0x20,
  local_set: 0x21,
  local_tee: 0x22,
  i32_const: 0x41,
  i64_const: 0x42,
  f32_const: 0x43,
  i32_load: 0x28,
  i32_eqz: 0x45,
  i32_lt_s: 0x48,
  i32_lt_u: 0x49,
  i32_ge_s: 0x4e,
  i32_ge_u: 0x4f,
  i32_add: 0x6a,
  i32_shl: 0x74,
  i64_lt_s: 0x53,
  i64_ge_s: 0x59,
  i64_add: 0x7c,
  more: 0xfc,
  simd: 0xfd,
} as const;

/** The type of a block that leaves nothing on the stack. */
export const NO_RESULT = 0x40;

type Table<Op extends string> = Readonly<Record<ScalarType, Partial<Record<Op, number>>>>;

/** `min` and `max` have no instruction with the loop language's meaning; they are written out with `select`. */
export const BINARY: Table<BinaryOp> = {
  i32: {
    add: 0x6a,
    sub: 0x6b,
    mul: 0x6c,
    div: 0x6d,
    rem: 0x6f,
    and: 0x71,
    or: 0x72,
    xor: 0x73,
    shl: 0x74,
    shr: 0x75,
    shru: 0x76,
    wrapAdd: 0x6a,
    wrapSub: 0x6b,
    wrapMul: 0x6c,
  },
  i64: {
    add: 0x7c,
    sub: 0x7d,
    mul: 0x7e,
    div: 0x7f,
    rem: 0x81,
    and: 0x83,
    or: 0x84,
    xor: 0x85,
    shl: 0x86,
    shr: 0x87,
    shru: 0x88,
    wrapAdd: 0x7c,
    wrapSub: 0x7d,
    wrapMul: 0x7e,
  },
  f32: { add: 0x92, sub: 0x93, mul: 0x94, div: 0x95 },
};

export const COMPARE: Readonly<Record<ScalarType, Readonly<Record<CompareOp, number>>>> = {
  i32: { eq: 0x46, ne: 0x47, lt: 0x48, gt: 0x4a, le: 0x4c, ge: 0x4e },
  i64: { eq: 0x51, ne: 0x52, lt: 0x53, gt: 0x55, le: 0x57, ge: 0x59 },
  f32: { eq: 0x5b, ne: 0x5c, lt: 0x5d, gt: 0x5e, le: 0x5f, ge: 0x60 },
};

/** By the type of the operand. Integer `neg` and `abs` are written out. */
export const UNARY: Table<UnaryOp> = {
  i32: { clz: 0x67, bitsToFloat: 0xbe },
  i64: { clz: 0x79 },
  f32: { abs: 0x8b, neg: 0x8c, ceil: 0x8d, floor: 0x8e, trunc: 0x8f, rint: 0x90, sqrt: 0x91, floatToBits: 0xbc },
};

/** Conversions by "from to". Floats become integers by saturation: no input can trap. */
export const CONVERT: Readonly<Record<string, readonly number[]>> = {
  "i32 i64": [0xac],
  "i64 i32": [0xa7],
  "i32 f32": [0xb2],
  "i64 f32": [0xb4],
  "f32 i32": [OP.more, 0],
  "f32 i64": [OP.more, 4],
};

export const LOAD: Readonly<Record<MemoryType, number>> = { i8: 0x2c, u8: 0x2d, i16: 0x2e, u16: 0x2f, i32: 0x28, i64: 0x29, f32: 0x2a };
export const STORE: Readonly<Record<MemoryType, number>> = { i8: 0x3a, u8: 0x3a, i16: 0x3b, u16: 0x3b, i32: 0x36, i64: 0x37, f32: 0x38 };

/** Numbers after the SIMD prefix. */
export const SIMD = {
  load: 0x00,
  load8x8_s: 0x01,
  load8x8_u: 0x02,
  load8_splat: 0x07,
  load16_splat: 0x08,
  load32_splat: 0x09,
  store: 0x0b,
  constant: 0x0c,
  store64_lane: 0x5b,
  i8x16_splat: 0x0f,
  i16x8_splat: 0x10,
  i32x4_splat: 0x11,
  i64x2_splat: 0x12,
  f32x4_splat: 0x13,
  f32x4_add: 0xe4,
  f32x4_mul: 0xe6,
  shuffle: 0x0d,
  i16x8_extend_low_s: 0x87,
  i16x8_extend_high_s: 0x88,
  i16x8_extend_low_u: 0x89,
  i16x8_extend_high_u: 0x8a,
  i32x4_add: 0xae,
  i32x4_dot_i16x8_s: 0xba,
  i32x4_extract_lane: 0x1b,
  f32x4_relaxed_madd: 0x105,
  i32x4_relaxed_dot_add: 0x113,
} as const;

export function wasmType(type: ValueKind): WasmType {
  return isVector(type) ? VALUE.v128 : VALUE[type];
}
