import { decodeBfloat16, decodeFloat16, elementCount, fromBytes, KingletError, type Shape } from "../../base/index.ts";

/** Whose habits a file follows: frameworks differ in how weights lie, and in what the layers around them compute. */
export type WeightLayout = "pytorch" | "keras";

/** A tensor of a file with weights. */
export interface WeightTensor {
  readonly name: string;
  /** As in the file: a format's own word where Kinglet has none. */
  readonly dtype: string;
  readonly shape: Shape;
  /** Row-major, in single precision; null where the elements are not floating-point numbers of 16, 32 or 64 bits. */
  readonly data: Float32Array | null;
}

/** The named tensors of a file. */
export interface Weights {
  /** What people call the format. */
  readonly format: string;
  readonly layout: WeightLayout;
  /** Tensors of one kind lie in the order in which their layers run; elsewhere only numbers in their names can tell that. */
  readonly inOrder: boolean;
  readonly tensors: readonly WeightTensor[];
}

/** Single-precision numbers of little-endian bytes; null for element types that are no such floats. */
export function decodeFloats(dtype: string, bytes: Uint8Array): Float32Array | null {
  switch (dtype) {
    case "float32":
      return fromBytes("float32", bytes) as Float32Array;
    case "float64":
      return new Float32Array(fromBytes("float64", bytes) as Float64Array);
    case "float16":
      return decodeFloat16(fromBytes("uint16", bytes) as Uint16Array);
    case "bfloat16":
      return decodeBfloat16(fromBytes("uint16", bytes) as Uint16Array);
    default:
      return null;
  }
}

const MAX_RANK = 32;
const MAX_TENSORS = 100_000;
/** No weights for these machines come near. */
const MAX_ELEMENTS = 2 ** 29;

export function refuseWeights(place: string, message: string): never {
  throw new KingletError("bad-file", message, { place, hint: "Save or download the weights again." });
}

/** @throws KingletError `bad-file` for what is no shape or does not fit any machine. */
export function checkShape(shape: readonly unknown[], place: string): Shape {
  const sound = shape.length <= MAX_RANK && shape.every((dim) => Number.isSafeInteger(dim) && (dim as number) >= 0);
  if (!sound) refuseWeights(place, `[${shape.slice(0, MAX_RANK).join(",")}] is not a shape`);
  const elements = elementCount(shape as Shape);
  if (elements > MAX_ELEMENTS) refuseWeights(place, `a tensor of ${elements} elements does not fit any machine`);
  return shape as Shape;
}

/** @throws KingletError `bad-file` */
export function checkCount(tensors: number, place: string): void {
  if (tensors > MAX_TENSORS) refuseWeights(place, `the file has more than ${MAX_TENSORS} tensors`);
}
