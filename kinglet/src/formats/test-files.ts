import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { unzipSync } from "fflate";
import type { TestContext } from "vitest";

const ROOT = process.env["KINGLET_SHARED"] ?? fileURLToPath(new URL("../../../../shared", import.meta.url));

/** The path of development data, or a named skip where this machine has none; in CI (`CI` is set) that is a failure. */
export function needShared(context: TestContext, path: string): string {
  const full = join(ROOT, path);
  if (existsSync(full)) return full;
  const reason = `needs ${path} of the development data (KINGLET_SHARED names its folder)`;
  if (process.env["CI"]) throw new Error(`${reason}; in CI nothing may be missing`);
  return context.skip(reason);
}

/** Every model of this extension inside the zip files below a folder, unpacked in memory one zip at a time. */
export function* zippedFiles(folder: string, extension: string): Iterable<[string, Uint8Array]> {
  for (const entry of readdirSync(folder, { recursive: true }) as string[]) {
    if (!entry.endsWith(".zip")) continue;
    const files = unzipSync(readFileSync(join(folder, entry)), { filter: (file) => file.name.endsWith(extension) });
    for (const [name, bytes] of Object.entries(files)) yield [`${entry}/${name}`, bytes];
  }
}
