import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { KingletError } from "../base/index.ts";
import { KERAS_APPLICATIONS, loadWeights, type LoadWeightsOptions, readMlpackage, readWeights, TORCHVISION, type Weights } from "../formats/index.ts";
import type { Graph } from "../graph/index.ts";
import type { ProjectConfig } from "./config.ts";

/** Whose networks' names a file may have, by the zoo's networks; without one, kind, shape and order tell. */
export const WEIGHT_NAMES: Readonly<Record<string, Readonly<Record<string, LoadWeightsOptions>>>> = {
  torchvision: TORCHVISION,
  keras: KERAS_APPLICATIONS,
};

/** No weights for these machines come near. */
const MAX_BYTES = 2 ** 31 - 1;

/** Reads weights of any format that Kinglet knows; a Core ML package is a folder. @throws KingletError `bad-file`, or what the file system says */
export async function readWeightsFile(path: string): Promise<Weights> {
  const info = await stat(path);
  if (info.isDirectory()) return readMlpackage((file) => fileIn(path, file), path);
  if (info.size > MAX_BYTES) throw new KingletError("bad-file", `the file of ${info.size} bytes is too large`, { place: path });
  return await readWeights(await readFile(path), path);
}

function fileIn(folder: string, path: string): Uint8Array | undefined {
  try {
    return readFileSync(join(folder, path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Weights that a project starts from. */
export interface StartWeights {
  readonly weights: Weights;
  /** Tells whether they are still the same. */
  readonly sha256: string;
}

/** The weights that a configuration names, or null where a project starts from random ones. Paths count from the project's folder. */
export async function readStartWeights(folder: string, { weights }: ProjectConfig): Promise<StartWeights | null> {
  if (weights === null) return null;
  const found = await readWeightsFile(join(folder, weights.file));
  const hash = createHash("sha256");
  for (const { name, data } of found.tensors) hash.update(name).update(data ?? "");
  return { weights: found, sha256: hash.digest("hex") };
}

/** A network of the zoo with the weights that a project starts from. @throws KingletError `bad-input` where they do not fit */
export function withStartWeights(network: Graph, { network: { name }, weights: config }: ProjectConfig, start: StartWeights | null): Graph {
  if (start === null || config === null) return network;
  const named = config.like === undefined ? {} : WEIGHT_NAMES[config.like]![name]!;
  return loadWeights(network, start.weights, { ...named, ...(config.without === undefined ? {} : { without: config.without }) });
}
