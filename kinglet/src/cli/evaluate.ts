import { join } from "node:path";
import type { Command } from "commander";
import { KingletError } from "../base/index.ts";
import { openDataset } from "../data/index.ts";
import { isProject, loadConfig, projectData, projectSplit } from "../project/index.ts";
import { writeFiles } from "./files.ts";
import { plain } from "./format.ts";
import { readHistory } from "./history.ts";
import { answer, type CommonOptions, type Io } from "./io.ts";
import { judge, type Jury, juryOf, trainingPage, type Verdict, verdictText } from "./judge.ts";
import { loadModel } from "./model.ts";
import { exists, FEDERATED_FILE, floatFile, isOlder, MODEL_FILE, projectName, QUANTIZED_FILE, REPORT_FILE } from "./project-files.ts";

interface EvaluateOptions extends CommonOptions {
  readonly data?: string;
}

/** The part of a data set that was kept from training, as far as can be known. */
async function findJury(folder: string, data: string | undefined): Promise<Jury> {
  if (data === undefined) {
    const [config, dataset] = [await loadConfig(folder), await projectData(folder)];
    return juryOf(dataset, projectSplit(config, dataset));
  }
  const dataset = await openDataset(data);
  const all = Int32Array.from({ length: dataset.length }, (_, i) => i);
  const test = all.filter((i) => dataset.index.parts[i] === 1);
  return test.length > 0 ? { dataset, positions: test, name: "test part" } : { dataset, positions: all, name: "whole data set" };
}

/** The models of a project, those that were made: trained, pruned, of a federation, int8. */
async function projectModels(folder: string, io: Io): Promise<string[]> {
  const now = await floatFile(folder);
  const names = new Set([MODEL_FILE, now, FEDERATED_FILE, QUANTIZED_FILE]);
  const found: string[] = [];
  for (const name of names) if (await exists(join(folder, name))) found.push(name);
  if (found.length === 0)
    throw new KingletError("bad-input", `there is no ${MODEL_FILE} here`, { place: folder, hint: "kinglet train makes it; or name a model." });
  if (found.includes(QUANTIZED_FILE) && (await isOlder(join(folder, QUANTIZED_FILE), join(folder, now))))
    io.err(`${QUANTIZED_FILE} is older than ${now}: kinglet quantize makes it anew\n`);
  return found.map((name) => join(folder, name));
}

async function evaluateModels(models: readonly string[], jury: Jury, ofProject: string | null, options: EvaluateOptions, io: Io): Promise<void> {
  const loaded = await Promise.all(models.map((path) => loadModel(path)));
  const verdicts: Verdict[] = [];
  for (const { graph, path } of loaded) verdicts.push(await judge(graph, path, jury));
  const report = ofProject === null ? null : join(ofProject, REPORT_FILE);
  if (ofProject !== null && report !== null) {
    const [steps, { board }] = [await readHistory(ofProject), await loadConfig(ofProject)];
    const page = await trainingPage({ title: projectName(ofProject), graph: loaded[0]!.graph, verdicts, jury, steps, board });
    await writeFiles(new Map([[report, page]]));
  }
  const json = {
    judgedOn: jury.name,
    samples: jury.positions.length,
    classes: jury.dataset.info.classes,
    networks: verdicts.map(({ network }) => network),
    report,
  };
  answer(io, options, json, () => [verdictText(verdicts, jury), ...(report === null ? [] : ["", `Written: ${plain(report)}`])].join("\n"));
}

async function evaluate(model: string | undefined, options: EvaluateOptions, io: Io): Promise<void> {
  const folder = io.folder ?? ".";
  if (model !== undefined && options.data === undefined && !(await isProject(folder)))
    throw new KingletError("misuse", "there is no project here: name the samples with --data");
  const jury = await findJury(folder, options.data);
  try {
    const models = model === undefined ? await projectModels(folder, io) : [model];
    await evaluateModels(models, jury, model === undefined && options.data === undefined ? folder : null, options, io);
  } finally {
    await jury.dataset.close();
  }
}

export function addEvaluate(program: Command, io: Io): void {
  program
    .command("evaluate")
    .description("How well a classifier does on samples it has not seen: accuracy, confusion, every class; float and int8 side by side.")
    .argument("[model]", "a .tflite or .kinglet file (default: all of the project's)")
    .option("--data <dir>", "a data set: its test part, or all of it (default: the project's test part)")
    .option("--json", "one JSON document on stdout")
    .addHelpText("after", "\nExamples:\n  kinglet evaluate\n  kinglet evaluate model.tflite --data words/")
    .action((model: string | undefined, options: EvaluateOptions) => evaluate(model, options, io));
}
