import * as v from "valibot";
import { Refusal } from "./refusal.ts";

/** What a schema describes, out of anything. @throws Refusal `malformed` that names the first field that is wrong. */
export function checked<const S extends v.GenericSchema>(schema: S, value: unknown, what: string): v.InferOutput<S> {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = v.getDotPath(issue);
  throw new Refusal("malformed", `${what} is not as it must be: ${path === null ? "" : `${path}: `}${issue.message}`.slice(0, 300));
}

/** The same out of a JSON text. */
export function checkedJson<const S extends v.GenericSchema>(schema: S, text: string, what: string): v.InferOutput<S> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refusal("malformed", `${what} is not a JSON document`);
  }
  return checked(schema, value, what);
}

const MOST = 2 ** 32 - 1;

/** A whole number from `least` that fits into 32 bits. */
export const whole = (least: number) => v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(MOST));
/** Milliseconds since 1970. */
export const Time = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));
export const Name = v.pipe(v.string(), v.minLength(1), v.maxLength(200));
export const finite = v.pipe(v.number(), v.finite());
/** `bytes` bytes in lower-case hexadecimal digits. */
export const hex = (bytes: number) =>
  v.pipe(v.string(), v.regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`), `${bytes} bytes in hexadecimal are expected`));
