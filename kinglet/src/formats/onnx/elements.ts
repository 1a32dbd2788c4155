import type { DType } from "../../base/index.ts";

/** How a small or unusual floating-point format is laid out; `infinite` and the not-a-numbers differ from format to format. */
export interface FloatFormat {
  readonly mantissaBits: number;
  /** What is subtracted from the stored exponent. */
  readonly bias: number;
  readonly exponentBits: number;
  /** The largest finite number. */
  readonly largest: number;
  /** What lies beyond, and infinities, become: an infinity, not a number, or the largest number (formats without either). */
  readonly beyond: "infinity" | "nan" | "largest";
  readonly unsigned?: boolean;
}

/** One of ONNX's element types, and how Kinglet computes with it. */
export interface ElementType {
  readonly name: string;
  /** The type of its values in a graph: other floats are computed as float32, narrow integers lie in bytes. */
  readonly dtype: DType;
  readonly bits: number;
  /** The range of integers that `dtype` could exceed. */
  readonly range?: readonly [number, number];
  /** Floats that are not float32. */
  readonly float?: FloatFormat;
}

const integer = (name: string, dtype: DType, bits: number, range?: readonly [number, number]): ElementType => ({
  name,
  dtype,
  bits,
  ...(range === undefined ? {} : { range }),
});

function floating(
  name: string,
  exponentBits: number,
  mantissaBits: number,
  bias: number,
  largest: number,
  beyond: FloatFormat["beyond"],
  unsigned = false,
): ElementType {
  const bits = exponentBits + mantissaBits + (unsigned ? 0 : 1);
  return { name, dtype: "float32", bits, float: { exponentBits, mantissaBits, bias, largest, beyond, ...(unsigned ? { unsigned } : {}) } };
}

/** By their numbers in TensorProto.DataType. Strings (8) and complex numbers (14, 15) are not among them. */
export const ELEMENTS: ReadonlyMap<number, ElementType> = new Map([
  [1, { name: "float", dtype: "float32", bits: 32 }],
  [2, integer("uint8", "uint8", 8)],
  [3, integer("int8", "int8", 8)],
  [4, integer("uint16", "uint16", 16)],
  [5, integer("int16", "int16", 16)],
  [6, integer("int32", "int32", 32)],
  [7, integer("int64", "int64", 64)],
  [9, integer("bool", "bool", 8)],
  [10, floating("float16", 5, 10, 15, 65504, "infinity")],
  [11, { name: "double", dtype: "float32", bits: 64 }],
  [12, integer("uint32", "uint32", 32)],
  [13, integer("uint64", "uint64", 64)],
  [16, floating("bfloat16", 8, 7, 127, 3.3895313892515355e38, "infinity")],
  [17, floating("float8e4m3fn", 4, 3, 7, 448, "nan")],
  [18, floating("float8e4m3fnuz", 4, 3, 8, 240, "nan")],
  [19, floating("float8e5m2", 5, 2, 15, 57344, "infinity")],
  [20, floating("float8e5m2fnuz", 5, 2, 16, 57344, "nan")],
  [21, integer("uint4", "uint8", 4, [0, 15])],
  [22, integer("int4", "int8", 4, [-8, 7])],
  [23, floating("float4e2m1", 2, 1, 1, 6, "largest")],
  [24, floating("float8e8m0", 8, 0, 127, 2 ** 127, "nan", true)],
  [25, integer("uint2", "uint8", 2, [0, 3])],
  [26, integer("int2", "int8", 2, [-2, 1])],
]);

/** Strings are known while a file is read; the network has their positions in a list of labels. */
export const STRING: ElementType = { name: "string", dtype: "int64", bits: 64 };

const NAMES: Readonly<Record<number, string>> = { 0: "undefined", 8: "string", 14: "complex64", 15: "complex128" };

export function elementName(code: number): string {
  return ELEMENTS.get(code)?.name ?? NAMES[code] ?? `type ${code}`;
}

/** The element type that a graph's own type stands for. */
export function elementOf(dtype: DType): ElementType {
  for (const element of ELEMENTS.values()) if (element.dtype === dtype) return element;
  throw new TypeError(`${dtype} is no element type`);
}

/** The number of ONNX's element type whose elements a graph's own type holds as they are. */
export function elementCode(dtype: DType): number {
  for (const [code, element] of ELEMENTS)
    if (element.dtype === dtype && element.range === undefined && element.float === undefined && element.name !== "double") return code;
  throw new TypeError(`${dtype} is no element type`);
}
