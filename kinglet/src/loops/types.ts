import type { DType } from "../base/index.ts";

/** What a local variable or an expression can be. Truth values are `i32` 0 or 1. */
export type ScalarType = "i32" | "i64" | "f32";

/** 128-bit vectors by their lanes. */
export type VectorType = "i8x16" | "i16x8" | "i32x4" | "i64x2" | "f32x4";

export type ValueKind = ScalarType | VectorType;

/** What a buffer in memory can hold. Unsigned numbers of 32 and 64 bits lie as signed ones of the same bits. */
export type MemoryType = "i8" | "u8" | "i16" | "u16" | "i32" | "i64" | "f32";

const MEMORY_OF: Partial<Record<DType, MemoryType>> = {
  float32: "f32",
  int8: "i8",
  uint8: "u8",
  int16: "i16",
  uint16: "u16",
  int32: "i32",
  uint32: "i32",
  int64: "i64",
  uint64: "i64",
  bool: "u8",
};

/** How a tensor's element type lies in memory; undefined where the loop language has no such type. */
export function memoryTypeOf(dtype: DType): MemoryType | undefined {
  return MEMORY_OF[dtype];
}

export const MEMORY_BYTES: Readonly<Record<MemoryType, number>> = { i8: 1, u8: 1, i16: 2, u16: 2, i32: 4, i64: 8, f32: 4 };

/** The scalar an element becomes when it is loaded. */
export function loadedType(type: MemoryType): ScalarType {
  return type === "i64" ? "i64" : type === "f32" ? "f32" : "i32";
}

export const LANES: Readonly<Record<VectorType, number>> = { i8x16: 16, i16x8: 8, i32x4: 4, i64x2: 2, f32x4: 4 };

export function isVector(type: ValueKind): type is VectorType {
  return type in LANES;
}
