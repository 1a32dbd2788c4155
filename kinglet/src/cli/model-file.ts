import { randomBytes } from "node:crypto";
import { open, rename, rm, stat } from "node:fs/promises";
import { KingletError } from "../base/index.ts";
import { isKinglet, writeKinglet } from "../formats/index.ts";
import type { Graph } from "../graph/index.ts";

/** A .kinglet file begins with so much that tells it. */
const HEAD_BYTES = 64;

/** Refuses to replace anything that is not a model of Kinglet's own. @throws KingletError `misuse` */
export async function checkModelFile(path: string): Promise<void> {
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) return;
  if (info.isDirectory()) throw new KingletError("misuse", "this is a folder; --out names a file", { place: path });
  const file = await open(path);
  try {
    const head = new Uint8Array(HEAD_BYTES);
    await file.read(head, 0, HEAD_BYTES, 0);
    if (info.size > 0 && !isKinglet(head))
      throw new KingletError("misuse", "the file exists and is not a .kinglet model, so it is not replaced", {
        place: path,
        hint: "Name another file.",
      });
  } finally {
    await file.close();
  }
}

/** Writes a model beside its place and moves it there when it is whole. Gives its bytes. */
export async function writeModelFile(path: string, graph: Graph): Promise<number> {
  const bytes = writeKinglet(graph);
  const beside = `${path}.${randomBytes(4).toString("hex")}.tmp`;
  try {
    const file = await open(beside, "wx");
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  return bytes.length;
}
