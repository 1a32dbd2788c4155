import { open, stat } from "node:fs/promises";
import { KingletError } from "../base/index.ts";
import { formatFor, type OnnxWriteOptions } from "../formats/index.ts";
import type { Graph } from "../graph/index.ts";
import { writeFiles } from "./files.ts";

/** So much of a model file tells its format. */
const HEAD_BYTES = 64;

/** Refuses an extension that no format has, and to replace anything that is not a model of that format. @throws KingletError `misuse` */
export async function checkModelFile(path: string): Promise<void> {
  const info = await stat(path).catch(() => undefined);
  if (info?.isDirectory()) throw new KingletError("misuse", "this is a folder, and the name of a file is expected", { place: path });
  const format = formatFor(path);
  if (info === undefined) return;
  const file = await open(path);
  try {
    const head = new Uint8Array(HEAD_BYTES);
    await file.read(head, 0, HEAD_BYTES, 0);
    if (info.size > 0 && !format.is(head))
      throw new KingletError("misuse", `the file exists and is not a ${format.extension} model, so it is not replaced`, {
        place: path,
        hint: "Name another file.",
      });
  } finally {
    await file.close();
  }
}

/** Writes a model in the format that its extension asks for. Gives the file's bytes. */
export async function writeModelFile(path: string, graph: Graph, options: OnnxWriteOptions = {}): Promise<number> {
  const bytes = formatFor(path).write(graph, options);
  await writeFiles(new Map([[path, bytes]]));
  return bytes.length;
}
