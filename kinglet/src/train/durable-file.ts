import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** The folder's entry must be on the disk, too; not every system lets a folder be opened. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r").catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

function isAlive(process_: number): boolean {
  try {
    process.kill(process_, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** A process that was killed while it wrote left its file there. */
async function removeStale(path: string): Promise<void> {
  for (const name of await readdir(dirname(path))) {
    const [, writer] = new RegExp(`^${basename(path)}\\.(\\d+)\\.tmp$`).exec(name) ?? [];
    if (writer !== undefined && !isAlive(Number(writer))) await rm(join(dirname(path), name), { force: true });
  }
}

/**
 * Writes a file beside its place and moves it there once it is on the disk: whoever reads finds the old one or the new one, whole.
 * @param mode of a new file, before the process's mask.
 */
export async function writeDurably(path: string, bytes: Uint8Array, mode = 0o666): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await removeStale(path);
  const beside = `${path}.${process.pid}.tmp`;
  try {
    const file = await open(beside, "w", mode);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}
