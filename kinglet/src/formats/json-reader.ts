import { KingletError } from "../base/index.ts";

/** Typed access to parsed JSON of unknown origin: whatever is not as it must be ends in one `bad-file`. */
export type Json = unknown;

export class JsonReader {
  readonly name: string;
  private readonly hint: string;

  /** `name` of the file, and what to do about a damaged one. */
  constructor(name: string, hint: string) {
    this.name = name;
    this.hint = hint;
  }

  /** The document in these bytes. */
  parse(bytes: Uint8Array, where: string): Json {
    try {
      return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    } catch {
      return this.fail(where, "it is not a JSON document");
    }
  }

  fail(where: string, message: string): never {
    throw new KingletError("bad-file", where === "" ? message : `${where}: ${message}`, {
      place: this.name,
      hint: this.hint,
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
}
