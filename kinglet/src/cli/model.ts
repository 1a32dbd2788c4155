import { readFile, stat } from "node:fs/promises";
import { basename, extname } from "node:path";
import { KingletError } from "../base/index.ts";
import { readModel } from "../formats/index.ts";
import type { Graph } from "../graph/index.ts";

/** No model for these machines comes near; a FlatBuffer's offsets end here too. */
const MAX_MODEL_BYTES = 2 ** 31 - 1;

export interface LoadedModel {
  readonly graph: Graph;
  readonly path: string;
  readonly bytes: number;
}

/** Reads a model; the graph is named after the file, without its folders and extension. */
export async function loadModel(path: string): Promise<LoadedModel> {
  const info = await stat(path);
  if (info.isDirectory()) throw new KingletError("bad-file", "this is a folder, and a model file is expected", { place: path });
  if (info.size > MAX_MODEL_BYTES) throw new KingletError("bad-file", `the file of ${info.size} bytes is too large to be a model`, { place: path });
  const bytes = await readFile(path);
  const graph = readModel(bytes, path);
  return { graph: { ...graph, name: basename(path, extname(path)) }, path, bytes: bytes.length };
}
