import { elementCount, type Shape } from "../../base/index.ts";
import { type Json, JsonReader } from "../json-reader.ts";
import { checkCount, checkShape, decodeFloats, refuseWeights, type Weights } from "./tensors.ts";

/** Names of element types in a header, with Kinglet's own and their bits. */
const DTYPES: Readonly<Record<string, readonly [dtype: string, bits: number]>> = {
  F64: ["float64", 64],
  F32: ["float32", 32],
  F16: ["float16", 16],
  BF16: ["bfloat16", 16],
  I64: ["int64", 64],
  I32: ["int32", 32],
  I16: ["int16", 16],
  I8: ["int8", 8],
  U64: ["uint64", 64],
  U32: ["uint32", 32],
  U16: ["uint16", 16],
  U8: ["uint8", 8],
  BOOL: ["bool", 8],
};

const LENGTH_BYTES = 8;
const BRACE = 0x7b;
/** What the format itself allows. */
const MAX_HEADER_BYTES = 100_000_000;
/** Text about the file, among the tensors. */
const METADATA = "__metadata__";

/** The header's length in 8 bytes, and a JSON object. */
export function isSafetensors(bytes: Uint8Array): boolean {
  if (bytes.length < LENGTH_BYTES + 2 || bytes[LENGTH_BYTES] !== BRACE) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.getUint32(4, true) === 0 && view.getUint32(0, true) <= MAX_HEADER_BYTES;
}

function headerOf(bytes: Uint8Array, reader: JsonReader): { readonly entries: readonly [string, Json][]; readonly data: Uint8Array } {
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, true);
  const start = LENGTH_BYTES + length;
  if (start > bytes.length) reader.fail("", `the header of ${length} bytes does not fit the file of ${bytes.length}`);
  const json = reader.parse(bytes.subarray(LENGTH_BYTES, start), "the header");
  return { entries: reader.entries(json, "the header").filter(([name]) => name !== METADATA), data: bytes.subarray(start) };
}

/** A tensor of the header, and where its bytes lie behind it. */
interface Entry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: Shape;
  readonly start: number;
  readonly end: number;
}

const placeOf = (name: string): string => `tensor "${name.slice(0, 80)}"`;

function readEntry(name: string, json: Json, reader: JsonReader): Entry {
  const where = placeOf(name);
  const field = (key: string): Json => reader.field(json, key, where);
  const stored = reader.text(field("dtype"), where);
  const shape = checkShape(reader.list(field("shape"), where), `${reader.name}, ${where}`);
  const offsets = reader.list(field("data_offsets"), where).map((each) => reader.whole(each, where));
  const [start, end] = offsets as [number, number];
  if (offsets.length !== 2 || start > end) reader.fail(where, "data_offsets must be where it begins and where it ends");
  const known = Object.hasOwn(DTYPES, stored) ? DTYPES[stored] : undefined;
  if (known !== undefined && (elementCount(shape) * known[1]) / 8 !== end - start)
    reader.fail(where, `${stored} [${shape.join(",")}] does not fit ${end - start} bytes`);
  return { name, dtype: known?.[0] ?? stored.slice(0, 16), shape, start, end };
}

/** Every byte belongs to one tensor, as the format asks: what hides between two, or lies in both, is not read by all alike. */
function checkCover(entries: readonly Entry[], bytes: number, reader: JsonReader): void {
  let at = 0;
  for (const { name, start, end } of [...entries].sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (start !== at) reader.fail(placeOf(name), `it begins at byte ${start}, and what lies before ends at ${at}`);
    at = end;
  }
  if (at !== bytes) reader.fail("", `the tensors take ${at} bytes, and the file holds ${bytes}`);
}

/**
 * Reads a `.safetensors` file, PyTorch's usual one.
 * @throws KingletError `bad-file`
 */
export function readSafetensors(bytes: Uint8Array, name: string): Weights {
  const reader = new JsonReader(name, "Save or download the weights again.");
  if (!isSafetensors(bytes)) refuseWeights(name, "the file does not begin with a header of tensors (.safetensors)");
  const { entries, data } = headerOf(bytes, reader);
  checkCount(entries.length, name);
  const read = entries.map(([tensor, json]) => readEntry(tensor, json, reader));
  checkCover(read, data.length, reader);
  const tensors = read.map(({ start, end, ...tensor }) => ({ ...tensor, data: decodeFloats(tensor.dtype, data.subarray(start, end)) }));
  return { format: "safetensors", layout: "pytorch", inOrder: false, tensors };
}
