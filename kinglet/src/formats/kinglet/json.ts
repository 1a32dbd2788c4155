import { type DType, KingletError, type Shape } from "../../base/index.ts";
import type { Attribute, Attributes, Quantization } from "../../graph/index.ts";
import type { Encoding, StoredData } from "./schema.ts";

/** Typed access to parsed JSON of unknown origin: whatever is not as it must be ends in one `bad-file`. */
export type Json = unknown;

export class JsonReader {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  fail(where: string, message: string): never {
    throw new KingletError("bad-file", where === "" ? message : `${where}: ${message}`, {
      place: this.name,
      hint: "The file is damaged, or something other than Kinglet wrote it.",
    });
  }

  /** An own property; what objects inherit does not count. */
  field(json: Json, key: string, where: string): Json {
    if (typeof json !== "object" || json === null || Array.isArray(json)) return this.fail(where, "an object is expected");
    return Object.hasOwn(json, key) ? (json as Record<string, Json>)[key] : undefined;
  }

  text(json: Json, where: string): string {
    return typeof json === "string" ? json : this.fail(where, "a text is expected");
  }

  list(json: Json, where: string): readonly Json[] {
    return Array.isArray(json) ? (json as Json[]) : this.fail(where, "a list is expected");
  }

  entries(json: Json, where: string): [string, Json][] {
    if (typeof json !== "object" || json === null || Array.isArray(json)) return this.fail(where, "an object is expected");
    return Object.entries(json);
  }

  whole(json: Json, where: string): number {
    return Number.isSafeInteger(json) && (json as number) >= 0 ? (json as number) : this.fail(where, "a whole number is expected");
  }

  /** A number, or the name of one that JSON lacks. */
  number(json: Json, where: string): number {
    if (typeof json === "number") return json;
    const named = this.field(json, "number", where);
    const known: Readonly<Record<string, number>> = {
      NaN: Number.NaN,
      Infinity: Number.POSITIVE_INFINITY,
      "-Infinity": Number.NEGATIVE_INFINITY,
      "-0": -0,
    };
    return typeof named === "string" && Object.hasOwn(known, named) ? known[named]! : this.fail(where, "a number is expected");
  }

  private attribute(json: Json, where: string): Attribute {
    if (typeof json === "string" || typeof json === "boolean") return json;
    return Array.isArray(json) ? json.map((each) => this.number(each, where)) : this.number(json, where);
  }

  attributes(json: Json, where: string): Attributes {
    return Object.fromEntries(this.entries(json, where).map(([key, each]) => [key, this.attribute(each, `${where}, attribute "${key}"`)]));
  }
}

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
