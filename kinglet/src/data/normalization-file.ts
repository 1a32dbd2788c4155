import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { KingletError } from "../base/index.ts";
import { NORMALIZATION_FILE } from "./manifest.ts";
import type { Normalization } from "./normalize.ts";

/** Stores a normalization with its data set, whole or not at all. */
export async function storeNormalization(folder: string, normalization: Normalization): Promise<void> {
  const path = join(folder, NORMALIZATION_FILE);
  await writeFile(`${path}.new`, `${JSON.stringify(normalization)}\n`);
  await rename(`${path}.new`, path);
}

const isNumbers = (value: unknown, check: (item: number) => boolean): value is number[] =>
  Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "number" && Number.isFinite(item) && check(item));

/** The normalization stored with a data set, or null. @throws KingletError `bad-file` where it is damaged. */
export async function loadNormalization(folder: string): Promise<Normalization | null> {
  const path = join(folder, NORMALIZATION_FILE);
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => (error.code === "ENOENT" ? null : Promise.reject(error)));
  if (text === null) return null;
  try {
    const { mean, std } = JSON.parse(text) as Partial<Normalization>;
    if (isNumbers(mean, () => true) && isNumbers(std, (item) => item > 0) && mean.length === std.length) return { mean, std };
  } catch {
    // Told below.
  }
  throw new KingletError("bad-file", "the stored normalization is damaged", { place: path, hint: "Remove the file; it is measured again." });
}
