import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { describe, expect, it } from "vitest";
import { KingletError } from "../../base/index.ts";
import { needShared, zippedFiles } from "../test-files.ts";
import { readTflite } from "./read.ts";
import { writeTflite } from "./write.ts";

/** Writes what was read and reads it again: every value, node and note must be the same. */
function expectInverse(bytes: Uint8Array, name: string): void {
  const graph = readTflite(bytes, name);
  expect(isDeepStrictEqual(readTflite(writeTflite(graph), name), graph), name).toBe(true);
}

/** The error's message, or null for a file that reads. */
function refusal(bytes: Uint8Array, name: string): string | null {
  try {
    readTflite(bytes, name);
    return null;
  } catch (error) {
    if (error instanceof KingletError && error.code === "unsupported") return error.message;
    throw error;
  }
}

describe("models of the development data", () => {
  it("reads every golden model, that of custom operators too, and writes it back", (context) => {
    const folder = needShared(context, "golden");
    const models = readdirSync(folder).filter((name) => existsSync(join(folder, name, "model.tflite")));
    const refused = models.filter((name) => refusal(readFileSync(join(folder, name, "model.tflite")), name) !== null);
    expect(models.length).toBeGreaterThan(0);
    expect(refused).toEqual([]);
    for (const name of models) expectInverse(readFileSync(join(folder, name, "model.tflite")), name);
  });

  it("reads every zipped model and writes it back, or names the custom operators that it holds", { timeout: 120_000 }, (context) => {
    const folder = needShared(context, "data");
    let read = 0;
    const refused: string[] = [];
    for (const [name, bytes] of zippedFiles(folder, ".tflite")) {
      const message = refusal(bytes, name);
      if (message === null) {
        read++;
        expectInverse(bytes, name);
      }
      if (message !== null && !message.includes("custom operator")) refused.push(`${name}: ${message}`);
    }
    expect(refused).toEqual([]);
    expect(read).toBeGreaterThan(100);
  });
});
