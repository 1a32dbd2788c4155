import { readFile, stat } from "node:fs/promises";
import { KingletError } from "../base/index.ts";
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from "./checkpoint.ts";
import { writeDurably } from "./durable-file.ts";

/** No training of such networks comes near; a damaged length must not fill the memory. */
const MOST_BYTES = 2 ** 31 - 1;

/** Writes a checkpoint: whoever reads finds the old one or the new one, whole. */
export async function writeCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  await writeDurably(path, encodeCheckpoint(checkpoint));
}

/** Reads a checkpoint file. @throws KingletError `bad-input` where there is none, `bad-file` where it is damaged. */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  const info = await stat(path).catch((error: NodeJS.ErrnoException) => (error.code === "ENOENT" ? null : Promise.reject(error)));
  if (info === null) throw new KingletError("bad-input", "there is no checkpoint to go on from", { place: path });
  if (!info.isFile() || info.size > MOST_BYTES) throw new KingletError("bad-file", "this is not a checkpoint of a training", { place: path });
  return decodeCheckpoint(await readFile(path), path);
}
