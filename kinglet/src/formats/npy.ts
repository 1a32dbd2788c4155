import { bytesOf, type DType, dtypeBytes, elementCount, fromBytes, KingletError, type Shape, type TypedArray } from "../base/index.ts";

/** A NumPy array: row-major. */
export interface NpyArray {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly data: TypedArray;
}

/** NumPy's names without the byte order. */
const DESCRIPTORS: Readonly<Record<DType, string>> = {
  float16: "f2",
  float32: "f4",
  float64: "f8",
  int8: "i1",
  int16: "i2",
  int32: "i4",
  int64: "i8",
  uint8: "u1",
  uint16: "u2",
  uint32: "u4",
  uint64: "u8",
  bool: "b1",
};
const DTYPES = new Map(Object.entries(DESCRIPTORS).map(([dtype, text]) => [text, dtype as DType]));

const MAGIC = "\x93NUMPY";
/** A plain header is about 128 bytes; anything longer is a table of named columns or an attack. */
const MAX_HEADER = 65536;
const ALIGNMENT = 64;
const MAX_RANK = 32;

function fail(name: string, message: string): never {
  throw new KingletError("bad-input", message, {
    place: name,
    hint: "Write the array with numpy.save(path, numpy.ascontiguousarray(array)), in a plain little-endian type.",
  });
}

/** Where the header's text begins and ends. */
function headerRange(bytes: Uint8Array, name: string): { start: number; end: number } {
  const isNpy = bytes.length >= 10 && [...MAGIC].every((letter, i) => bytes[i] === letter.charCodeAt(0));
  if (!isNpy) fail(name, "the file is not a NumPy array (.npy)");
  const version = bytes[6]!;
  if (version < 1 || version > 3) fail(name, `the .npy version ${version} is not known`);
  const start = version === 1 ? 10 : 12;
  if (bytes.length < start) fail(name, "the file ends inside its header");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > MAX_HEADER || start + length > bytes.length) fail(name, `the header of ${length} bytes does not fit the file`);
  return { start, end: start + length };
}

function parseDType(header: string, name: string): DType {
  const descriptor = /'descr'\s*:\s*'([<>|=]?)(\w+)'/.exec(header);
  const dtype = descriptor === null ? undefined : DTYPES.get(descriptor[2]!);
  if (descriptor === null || dtype === undefined) return fail(name, `the element type ${descriptor?.[2] ?? "of the array"} is not supported`);
  if (dtypeBytes(dtype) > 1 && descriptor[1] !== "<") fail(name, "the elements are not stored little-endian");
  return dtype;
}

function parseShape(header: string, name: string): number[] {
  const text = /'shape'\s*:\s*\(([\d\s,L]*)\)/.exec(header);
  if (text === null) return fail(name, "the header does not state a shape");
  const parts = text[1]!
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
  if (parts.length > MAX_RANK) fail(name, `the array has ${parts.length} dimensions`);
  return parts.map((part) => Number(part.replace("L", "")));
}

/**
 * Reads a .npy file of version 1, 2 or 3. `name` is used in messages.
 * @throws KingletError `bad-input` for a damaged file, Fortran order, big-endian or structured elements.
 */
export function readNpy(file: Uint8Array, name: string): NpyArray {
  const bytes = new Uint8Array(file.buffer, file.byteOffset, file.byteLength); // a Node Buffer would not copy on slice
  const { start, end } = headerRange(bytes, name);
  const header = new TextDecoder().decode(bytes.subarray(start, end));
  if (!/'fortran_order'\s*:\s*False/.test(header)) fail(name, "the array is stored in Fortran order, or its header is damaged");
  const dtype = parseDType(header, name);
  const shape = parseShape(header, name);
  const needed = elementCount(shape) * dtypeBytes(dtype);
  if (needed !== bytes.length - end) fail(name, `the array needs ${needed} bytes but the file holds ${bytes.length - end}`);
  return { dtype, shape, data: fromBytes(dtype, bytes.subarray(end)) };
}

function shapeTuple(shape: Shape): string {
  return shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
}

/** Writes a .npy file, version 1. */
export function writeNpy({ dtype, shape, data }: NpyArray): Uint8Array {
  if (data.length !== elementCount(shape)) throw new KingletError("bad-input", `${data.length} elements do not fill the shape [${shape.join(",")}]`);
  const order = dtypeBytes(dtype) === 1 ? "|" : "<";
  const text = `{'descr': '${order}${DESCRIPTORS[dtype]}', 'fortran_order': False, 'shape': ${shapeTuple(shape)}, }`;
  const used = 10 + text.length + 1;
  const header = `${text}${" ".repeat((ALIGNMENT - (used % ALIGNMENT)) % ALIGNMENT)}\n`;
  const out = new Uint8Array(10 + header.length + data.byteLength);
  out.set([...MAGIC].map((letter) => letter.charCodeAt(0)));
  out.set([1, 0, header.length & 255, header.length >> 8], 6);
  out.set(new TextEncoder().encode(header), 10);
  out.set(bytesOf(data), 10 + header.length);
  return out;
}
