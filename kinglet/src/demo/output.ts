import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Files by path below the folder. */
export type Files = ReadonlyMap<string, string | Uint8Array>;

/** Writes all files or none: into a folder beside the wanted one, which then takes its place. */
export async function writeFolder(folder: string, files: Files): Promise<void> {
  const draft = `${folder}.partial-${process.pid}`;
  try {
    for (const [name, contents] of files) {
      await mkdir(dirname(join(draft, name)), { recursive: true });
      await writeFile(join(draft, name), contents);
    }
    await rm(folder, { recursive: true, force: true });
    await rename(draft, folder);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}
