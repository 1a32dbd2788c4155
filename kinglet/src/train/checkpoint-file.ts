import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { KingletError } from "../base/index.ts";
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from "./checkpoint.ts";

/** No training of such networks comes near; a damaged length must not fill the memory. */
const MOST_BYTES = 2 ** 31 - 1;

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

/** Writes a checkpoint beside its place and moves it there once it is on the disk: whoever reads finds the old one or the new one, whole. */
export async function writeCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await removeStale(path);
  const beside = `${path}.${process.pid}.tmp`;
  try {
    const file = await open(beside, "w");
    try {
      await file.writeFile(encodeCheckpoint(checkpoint));
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

/** Reads a checkpoint file. @throws KingletError `bad-input` where there is none, `bad-file` where it is damaged. */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  const info = await stat(path).catch((error: NodeJS.ErrnoException) => (error.code === "ENOENT" ? null : Promise.reject(error)));
  if (info === null) throw new KingletError("bad-input", "there is no checkpoint to go on from", { place: path });
  if (!info.isFile() || info.size > MOST_BYTES) throw new KingletError("bad-file", "this is not a checkpoint of a training", { place: path });
  return decodeCheckpoint(await readFile(path), path);
}
