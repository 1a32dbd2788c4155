import { stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";

/** Files of a project that commands leave for each other. */
export const MODEL_FILE = "model.kinglet";
export const PRUNED_FILE = "model.pruned.kinglet";
export const QUANTIZED_FILE = "model.int8.kinglet";
/** The network that a federation learned. */
export const FEDERATED_FILE = "model.federated.kinglet";
export const TRAINING_FILE = "training.json";
export const REPORT_FILE = "report.html";
export const FIRMWARE_FOLDER = "firmware";

/** A project is called like its folder. */
export function projectName(folder: string): string {
  return basename(resolve(folder)) || "model";
}

export async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

/** Whether the first file was written before the second, if there is such a one. */
export async function isOlder(path: string, than: string): Promise<boolean> {
  if (!(await exists(than))) return false;
  const [first, second] = await Promise.all([stat(path), stat(than)]);
  return first.mtimeMs < second.mtimeMs;
}

/** The floating-point network that a project is at: the pruned one, unless there was another training since. */
export async function floatFile(folder: string): Promise<string> {
  const [whole, pruned] = [join(folder, MODEL_FILE), join(folder, PRUNED_FILE)];
  return (await exists(pruned)) && !(await isOlder(pruned, whole)) ? PRUNED_FILE : MODEL_FILE;
}
