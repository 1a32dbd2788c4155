import { join } from "node:path";
import { bytesOf, elementCount, KingletError } from "../base/index.ts";
import type { Sample } from "../driver/index.ts";
import { isProject, loadConfig, projectData, projectSplit, readSamples, spread } from "../project/index.ts";
import type { Io } from "./io.ts";
import type { ProjectNetwork } from "./project-step.ts";
import { exists, FIRMWARE_FOLDER, floatFile, isOlder, MODEL_FILE, projectName, QUANTIZED_FILE } from "./project-files.ts";

/** @throws KingletError `misuse` outside a project, `bad-input` before training */
export async function checkTrained(folder: string): Promise<void> {
  if (!(await isProject(folder))) throw new KingletError("misuse", "name a model: there is no project here");
  if (!(await exists(join(folder, MODEL_FILE))))
    throw new KingletError("bad-input", `there is no ${MODEL_FILE} here`, { place: folder, hint: "kinglet train makes it." });
}

/** Samples of the training part, evenly spread, as the float input of the network in `file` takes them. */
export async function projectCalibration(folder: string, { graph, file }: ProjectNetwork, most: number): Promise<Sample[]> {
  const [config, dataset] = [await loadConfig(folder), await projectData(folder)];
  try {
    if (graph.inputs.length !== 1 || elementCount(graph.inputs[0]!.shape) !== elementCount(dataset.info.shape))
      throw new KingletError("bad-input", "the data set's samples do not have the shape that the network was trained on", {
        place: join(folder, file),
        hint: "Train again, or name other samples with --calibrate.",
      });
    const positions = spread(projectSplit(config, dataset).train, most);
    return (await readSamples(dataset, positions)).map((sample) => [bytesOf(sample)]);
  } finally {
    await dataset.close();
  }
}

/** A name that C accepts, of a folder's. */
function identifier(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9]+/g, "_").replace(/^_+|_+$/g, "");
  return /^[A-Za-z]/.test(plain) ? plain : `model_${plain}`.replace(/_$/, "");
}

export interface ProjectToCompile {
  readonly path: string;
  readonly name: string;
  readonly board: string | null;
  readonly out: string;
}

/** What `kinglet compile` makes of a project: its quantized network, or the float one where it shall learn, for its board. */
export async function projectToCompile(folder: string, io: Io, form: "quantized" | "float"): Promise<ProjectToCompile> {
  const path = join(folder, QUANTIZED_FILE);
  // What a federation learned may be quantized where nothing was trained.
  if (form === "float" || !(await exists(path))) await checkTrained(folder);
  const { board } = await loadConfig(folder);
  const about = { name: identifier(projectName(folder)), board, out: join(folder, FIRMWARE_FOLDER) };
  const now = await floatFile(folder);
  if (form === "float") return { path: join(folder, now), ...about };
  if (!(await exists(path)))
    throw new KingletError("bad-input", `there is no ${QUANTIZED_FILE} here`, {
      place: folder,
      hint: `kinglet quantize makes it; or name ${MODEL_FILE} to compile the float network.`,
    });
  if (await isOlder(path, join(folder, now))) io.err(`${QUANTIZED_FILE} is older than ${now}: kinglet quantize makes it anew\n`);
  return { path, ...about };
}
