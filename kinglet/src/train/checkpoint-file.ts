import { randomBytes } from "node:crypto";
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
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

/** Writes a checkpoint beside its place and moves it there once it is on the disk: whoever reads finds the old one or the new one, whole. */
export async function writeCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const beside = `${path}.${randomBytes(4).toString("hex")}.tmp`;
  try {
    const file = await open(beside, "wx");
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
