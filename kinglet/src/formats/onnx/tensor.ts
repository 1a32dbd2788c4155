import {
  allocate,
  type DType,
  decodeBfloat16,
  decodeFloat16,
  dtypeBytes,
  elementCount,
  fromBytes,
  KingletError,
  type TypedArray,
  viewOf,
  mapInto,
} from "../../base/index.ts";
import { ELEMENTS, elementName, type ElementType, type FloatFormat } from "./elements.ts";
import type { SparseTensorProto, TensorProto } from "./proto.ts";

/** A tensor's contents as Kinglet computes with them. */
export interface Tensor {
  readonly element: ElementType;
  readonly shape: readonly number[];
  readonly data: TypedArray;
}

/** Gives the bytes of a file beside the model. @throws KingletError where there is none */
export type ExternalFiles = (location: string, place: string) => Uint8Array;

const MAX_RANK = 32;

function bad(place: string, message: string): never {
  throw new KingletError("bad-file", message, { place, hint: "Export or download the model again." });
}

export function elementType(code: number, place: string): ElementType {
  const element = ELEMENTS.get(code);
  if (element !== undefined) return element;
  throw new KingletError("unsupported", `the element type ${elementName(code)} is not supported`, {
    place,
    hint: "Strings and complex numbers do not run on these machines: compute that part outside of the model.",
  });
}

function checkedShape(dims: readonly number[], place: string): readonly number[] {
  if (dims.length > MAX_RANK || dims.some((dim) => !Number.isSafeInteger(dim) || dim < 0)) bad(place, `[${dims.join(",")}] is not a shape`);
  if (elementCount(dims) > 2 ** 31) bad(place, `a tensor of ${elementCount(dims)} elements does not fit any machine`);
  return dims;
}

/** The number of strings in TensorProto.DataType. */
export const STRINGS = 8;

export const isStrings = (tensor: TensorProto): boolean => tensor.dataType === STRINGS;

/** The contents of a stored tensor of strings. @throws KingletError `bad-file` */
export function textsOf(tensor: TensorProto, name: string): string[] {
  const place = `${name}, tensor "${tensor.name}"`;
  const count = elementCount(checkedShape(tensor.dims, place));
  if (tensor.strings.length !== count) bad(place, `${count} strings were declared, and the file holds ${tensor.strings.length}`);
  return tensor.strings.map((bytes) => new TextDecoder().decode(bytes));
}

/** A number of `bits` in a small floating-point format. */
function decodeFloat(bits: number, f: FloatFormat): number {
  const exponent = (bits >> f.mantissaBits) & ((1 << f.exponentBits) - 1);
  const fraction = bits & ((1 << f.mantissaBits) - 1);
  const negative = f.unsigned !== true && (bits >> (f.exponentBits + f.mantissaBits)) & 1;
  const top = (1 << f.exponentBits) - 1;
  if (f.unsigned === true) return exponent === top ? Number.NaN : 2 ** (exponent - f.bias);
  if (f.beyond === "infinity" && exponent === top) return fraction !== 0 ? Number.NaN : negative ? -Infinity : Infinity;
  // Formats without infinities: the "uz" ones call −0 not a number, the others their largest pattern.
  const isUz = f.bias === 2 ** (f.exponentBits - 1);
  if (f.beyond === "nan" && (isUz ? negative && exponent === 0 && fraction === 0 : exponent === top && fraction === (1 << f.mantissaBits) - 1))
    return Number.NaN;
  const size = exponent === 0 ? fraction * 2 ** (1 - f.bias - f.mantissaBits) : (1 + fraction / 2 ** f.mantissaBits) * 2 ** (exponent - f.bias);
  return negative ? -size : size;
}

/** Unpacks numbers of 2 or 4 bits, the lowest first. */
function unpack(bytes: Uint8Array, bits: number, count: number): Uint8Array {
  const perByte = 8 / bits;
  return Uint8Array.from({ length: count }, (_, i) => (bytes[Math.floor(i / perByte)]! >> ((i % perByte) * bits)) & ((1 << bits) - 1));
}

function narrow(element: ElementType, codes: Uint8Array): TypedArray {
  const out = allocate(element.dtype, codes.length);
  const signed = (element.range?.[0] ?? 0) < 0;
  const half = 2 ** (element.bits - 1);
  codes.forEach((code, i) => {
    if (element.float !== undefined) out[i] = decodeFloat(code, element.float);
    else out[i] = signed && code >= half ? code - 2 * half : code;
  });
  return out;
}

function fromRaw(raw: Uint8Array, element: ElementType, count: number, place: string): TypedArray {
  const needed = Math.ceil((count * element.bits) / 8);
  if (raw.length !== needed) bad(place, `${count} elements of ${element.name} need ${needed} bytes, and the file holds ${raw.length}`);
  if (element.bits < 8) return narrow(element, unpack(raw, element.bits, count));
  if (element.name === "double") return new Float32Array(elementsOf("float64", raw, count) as Float64Array);
  if (element.name === "float16") return decodeFloat16(fromBytes("uint16", raw) as Uint16Array);
  if (element.name === "bfloat16") return decodeBfloat16(fromBytes("uint16", raw) as Uint16Array);
  if (element.float !== undefined) return narrow(element, raw);
  if (element.name === "bool") return mapInto(new Uint8Array(raw.length), raw, (byte) => (byte === 0 ? 0 : 1));
  return elementsOf(element.dtype, raw, count);
}

/** The file's own bytes serve where they lie aligned; nothing is ever written to a constant. */
function elementsOf(dtype: DType, bytes: Uint8Array, count: number): TypedArray {
  const aligned = bytes.byteOffset % dtypeBytes(dtype) === 0;
  return aligned ? viewOf(dtype, bytes.buffer, bytes.byteOffset, count) : fromBytes(dtype, bytes);
}

/** Elements in one of the typed fields: everything narrow lies in int32_data, as bits. */
function fromFields(tensor: TensorProto, element: ElementType, count: number, place: string): TypedArray {
  const stored = element.bits < 8 ? Math.ceil((count * element.bits) / 8) : count;
  const check = (found: number): void => {
    if (found !== stored) bad(place, `${count} elements of ${element.name} were declared, and the file holds ${found}`);
  };
  if (element.name === "float" || element.name === "double") {
    const bytes = (element.name === "float" ? tensor.floats : tensor.doubles).bytes();
    check((8 * bytes.length) / element.bits);
    return fromRaw(bytes, element, count, place);
  }
  const numbers = { int64: tensor.int64s, uint32: tensor.uint64s, uint64: tensor.uint64s }[element.name] ?? tensor.int32s;
  check(numbers.countVarints());
  const decoded = <A extends TypedArray>(to: A): A => {
    numbers.decodeVarints(to);
    return to;
  };
  if (element.bits < 8) return narrow(element, unpack(decoded(new Uint8Array(stored)), element.bits, count));
  if (element.name === "float16") return decodeFloat16(decoded(new Uint16Array(count)));
  if (element.float !== undefined)
    return mapInto(new Float32Array(count), decoded(new Uint16Array(count)), (code) => decodeFloat(code, element.float!));
  return decoded(allocate(element.dtype, count));
}

function externalBytes(tensor: TensorProto, files: ExternalFiles, needed: number, place: string): Uint8Array {
  const file = files(tensor.external.get("location") ?? "", place);
  const offset = Number(tensor.external.get("offset") ?? 0);
  const length = Number(tensor.external.get("length") ?? needed);
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0 || offset + length > file.length)
    bad(place, `the tensor takes bytes ${offset} to ${offset + length} of a file of ${file.length} bytes`);
  return file.subarray(offset, offset + length);
}

/**
 * The contents of a stored tensor.
 * @throws KingletError `bad-file`, `unsupported`
 */
export function decodeTensor(tensor: TensorProto, name: string, files: ExternalFiles): Tensor {
  const place = `${name}, tensor "${tensor.name}"`;
  const element = elementType(tensor.dataType, place);
  if (tensor.segmented) bad(place, "tensors in segments are not supported");
  const shape = checkedShape(tensor.dims, place);
  const count = elementCount(shape);
  const raw = tensor.isExternal ? externalBytes(tensor, files, Math.ceil((count * element.bits) / 8), place) : tensor.raw;
  const data = raw !== null ? fromRaw(raw, element, count, place) : fromFields(tensor, element, count, place);
  return { element, shape, data };
}

/** A sparse tensor made dense; its indices count elements, or are tuples. */
export function decodeSparse(sparse: SparseTensorProto, name: string, files: ExternalFiles, budget: (bytes: number) => void): Tensor {
  if (sparse.values === null || sparse.indices === null) return bad(name, "a sparse tensor lacks its values or indices");
  const shape = checkedShape(sparse.dims, name);
  const [values, indices] = [decodeTensor(sparse.values, name, files), decodeTensor(sparse.indices, name, files)];
  budget(elementCount(shape) * dtypeBytes(values.element.dtype));
  const data = allocate(values.element.dtype, elementCount(shape)) as { [index: number]: number | bigint; length: number } & TypedArray;
  const [count, width] = [values.data.length, indices.shape.length === 2 ? shape.length : 1];
  if (indices.data.length !== count * width) bad(name, `a sparse tensor of ${count} values has ${indices.data.length} numbers of indices`);
  for (let i = 0; i < count; i++) {
    let at = Number(indices.data[i * width]);
    for (let d = 1; d < width; d++) at = at * shape[d]! + Number(indices.data[i * width + d]);
    if (!(at >= 0 && at < data.length)) bad(name, `a sparse tensor has the index ${at} of ${data.length}`);
    data[at] = values.data[i]!;
  }
  return { element: values.element, shape, data };
}
