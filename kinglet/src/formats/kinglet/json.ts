import type { DType, Shape } from "../../base/index.ts";
import type { Attribute, Attributes, Quantization } from "../../graph/index.ts";
import type { Json, JsonReader } from "../json-reader.ts";
import type { Encoding, StoredData } from "./schema.ts";

/** More than any operator takes; keeps what a hostile shape can cost small. */
const MAX_RANK = 8;
const DTYPES: ReadonlySet<string> = new Set<DType>([
  "float32",
  "float16",
  "float64",
  "int8",
  "uint8",
  "int16",
  "uint16",
  "int32",
  "uint32",
  "int64",
  "uint64",
  "bool",
]);
const ENCODINGS: ReadonlySet<string> = new Set<Encoding>(["raw", "float16", "int4"]);

export function dtypeIn(reader: JsonReader, json: Json, where: string): DType {
  return typeof json === "string" && DTYPES.has(json) ? (json as DType) : reader.fail(where, "the element type is not known");
}

export function shapeIn(reader: JsonReader, json: Json, where: string): Shape {
  const shape = reader.list(json, where).map((dim) => reader.whole(dim, where));
  return shape.length <= MAX_RANK ? shape : reader.fail(where, `${shape.length} dimensions; at most ${MAX_RANK} are possible`);
}

export function quantizationIn(reader: JsonReader, json: Json, where: string): Quantization | undefined {
  if (json === undefined) return undefined;
  const numbers = (key: string): number[] => reader.list(reader.field(json, key, where), where).map((each) => reader.number(each, where));
  const zeroPoints = numbers("zeroPoints");
  if (!zeroPoints.every((zero) => Number.isInteger(zero) && Math.abs(zero) <= 2 ** 31)) reader.fail(where, "a zero point does not fit in 32 bits");
  return { scales: numbers("scales"), zeroPoints, axis: reader.whole(reader.field(json, "axis", where), where) };
}

export function storedDataIn(reader: JsonReader, json: Json, where: string): Required<StoredData> | undefined {
  if (json === undefined) return undefined;
  const encoding = reader.field(json, "encoding", where) ?? "raw";
  if (typeof encoding !== "string" || !ENCODINGS.has(encoding)) return reader.fail(where, "the encoding of its contents is not known");
  const [offset, bytes] = [reader.whole(reader.field(json, "offset", where), where), reader.whole(reader.field(json, "bytes", where), where)];
  return { offset, bytes, encoding: encoding as Encoding };
}

function attributeIn(reader: JsonReader, json: Json, where: string): Attribute {
  if (typeof json === "string" || typeof json === "boolean") return json;
  return Array.isArray(json) ? json.map((each) => reader.number(each, where)) : reader.number(json, where);
}

export function attributesIn(reader: JsonReader, json: Json, where: string): Attributes {
  return Object.fromEntries(reader.entries(json, where).map(([key, each]) => [key, attributeIn(reader, each, `${where}, attribute "${key}"`)]));
}
