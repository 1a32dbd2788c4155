import {
  bytesOf,
  type DType,
  decodeFloat16,
  dtypeBytes,
  elementCount,
  fromBytes,
  losslessFloat16,
  type Shape,
  type TypedArray,
} from "../../base/index.ts";
import type { Encoding } from "./schema.ts";

/** Shorter tensors gain nothing worth another way of storing them. */
const WORTH_PACKING = 32;

function packNibbles(data: TypedArray): Uint8Array {
  const packed = new Uint8Array(Math.ceil(data.length / 2));
  for (let i = 0; i < data.length; i++) packed[i >> 1]! |= (Number(data[i]) & 15) << ((i & 1) * 4);
  return packed;
}

function unpackNibbles(packed: Uint8Array, length: number): Int8Array {
  return Int8Array.from({ length }, (_, i) => ((packed[i >> 1]! >> ((i & 1) * 4)) << 28) >> 28);
}

/** The shortest way of storing a constant that gives back the same bits. */
export function encode(dtype: DType, data: TypedArray): { encoding: Encoding; bytes: Uint8Array } {
  if (dtype === "float32" && data.length >= WORTH_PACKING) {
    const half = losslessFloat16(data as Float32Array);
    if (half !== null) return { encoding: "float16", bytes: bytesOf(half) };
  }
  if (dtype === "int8" && data.length >= WORTH_PACKING && (data as Int8Array).every((x) => x >= -8 && x <= 7))
    return { encoding: "int4", bytes: packNibbles(data) };
  return { encoding: "raw", bytes: bytesOf(data) };
}

/** Bytes that a tensor takes, or undefined where the encoding does not go with the element type. */
export function encodedBytes(dtype: DType, shape: Shape, encoding: Encoding): number | undefined {
  const count = elementCount(shape);
  if (encoding === "raw") return count * dtypeBytes(dtype);
  if (encoding === "float16") return dtype === "float32" ? count * 2 : undefined;
  return dtype === "int8" ? Math.ceil(count / 2) : undefined;
}

export function decode(dtype: DType, shape: Shape, encoding: Encoding, bytes: Uint8Array): TypedArray {
  if (encoding === "float16") return decodeFloat16(fromBytes("uint16", bytes) as Uint16Array);
  return encoding === "int4" ? unpackNibbles(bytes, elementCount(shape)) : fromBytes(dtype, bytes);
}
