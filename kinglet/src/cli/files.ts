import { randomBytes } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";

/** Writes a file beside its place, for `rename` to bring there once everything else is written, too. */
async function writeBeside(path: string, contents: string | Uint8Array): Promise<string> {
  const beside = `${path}.${randomBytes(4).toString("hex")}.tmp`;
  try {
    const file = await open(beside, "wx");
    try {
      await file.writeFile(contents);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    await rm(beside, { force: true });
    // Nobody knows the file beside by its name.
    throw Object.assign(error as Error, { path });
  }
  return beside;
}

/** Writes several files: none takes its place before all of them are whole on the disk. */
export async function writeFiles(files: ReadonlyMap<string, string | Uint8Array>): Promise<void> {
  const written: [beside: string, path: string][] = [];
  try {
    for (const [path, contents] of files) written.push([await writeBeside(path, contents), path]);
    for (const [beside, path] of written) await rename(beside, path);
  } catch (error) {
    for (const [beside] of written) await rm(beside, { force: true });
    throw error;
  }
}
