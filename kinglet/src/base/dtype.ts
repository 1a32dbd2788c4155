/** Element types a tensor can have. Names follow NumPy; `bool` is one byte. */
export type DType = "float32" | "float16" | "float64" | "int8" | "uint8" | "int16" | "uint16" | "int32" | "uint32" | "int64" | "uint64" | "bool";

/** The typed arrays that hold tensor data in JavaScript; `float16` travels as its raw `Uint16Array` bits. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

interface TypedArrayConstructor {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): TypedArray;
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): TypedArray;
}

const ARRAYS: Record<DType, TypedArrayConstructor> = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
};

/** Bytes of one element. */
export function dtypeBytes(dtype: DType): number {
  return ARRAYS[dtype].BYTES_PER_ELEMENT;
}

/** A zeroed typed array of `length` elements. */
export function allocate(dtype: DType, length: number): TypedArray {
  return new ARRAYS[dtype](length);
}

/** A typed view of `length` elements over `buffer` from `byteOffset` (which must be aligned to the element). */
export function viewOf(dtype: DType, buffer: ArrayBufferLike, byteOffset: number, length: number): TypedArray {
  return new ARRAYS[dtype](buffer, byteOffset, length);
}

/** The bytes behind a typed array, not copied. */
export function bytesOf(data: TypedArray): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/**
 * Fills an array with what `of` makes of each element of another, and gives it. `Float32Array.from(data, of)` is the same through an
 * iterator, which costs a hundred times as much: large tables and samples come this way.
 */
export function mapInto<T extends { readonly length: number; [index: number]: number }>(
  into: T,
  data: ArrayLike<number>,
  of: (value: number, index: number) => number,
): T {
  for (let i = 0; i < into.length; i++) into[i] = of(data[i]!, i);
  return into;
}

/** Copies little-endian bytes into a fresh, aligned typed array. */
export function fromBytes(dtype: DType, bytes: Uint8Array): TypedArray {
  // A Buffer's own slice() would share memory: the constructor copies whatever it is given.
  const copy = new Uint8Array(bytes);
  return viewOf(dtype, copy.buffer, 0, Math.floor(copy.byteLength / dtypeBytes(dtype)));
}
