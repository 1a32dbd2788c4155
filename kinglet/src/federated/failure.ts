import { KingletError } from "../base/index.ts";

/** An error as it crosses to another thread or machine. */
export type Failure = Pick<KingletError, "code" | "message" | "hint">;

export function failureOf(error: unknown): Failure {
  if (error instanceof KingletError) return { code: error.code, message: error.message, hint: error.hint };
  return { code: "internal", message: error instanceof Error ? error.message : String(error), hint: undefined };
}

export function errorOf({ code, message, hint }: Failure): KingletError {
  return new KingletError(code, message, hint === undefined ? {} : { hint });
}
