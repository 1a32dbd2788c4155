import { join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { KingletError } from "../base/index.ts";
import { writeKinglet } from "../formats/index.ts";
import type { Graph } from "../graph/index.ts";
import { MOST_THREADS } from "../loops/index.ts";
import type { Dataset } from "../data/index.ts";
import {
  CONFIG_FILE,
  learn,
  type Learned,
  type LearnTask,
  loadConfig,
  PROJECT_CHECKPOINT,
  type ProjectConfig,
  projectData,
  projectSplit,
  readStartWeights,
} from "../project/index.ts";
import { exists, MODEL_FILE, projectName, REPORT_FILE, TRAINING_FILE } from "./project-files.ts";
import { writeFiles } from "./files.ts";
import { plain } from "./format.ts";
import { answer, type CommonOptions, type Io } from "./io.ts";
import { judge, juryOf, trainingPage, verdictLine } from "./judge.ts";
import { checkModelFile } from "./model-file.ts";
import { TrainingDisplay } from "./train-text.ts";

export interface TrainOptions extends CommonOptions {
  readonly resume?: boolean;
  readonly epochs?: number;
  readonly seed?: number;
  readonly threads?: number;
}

function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    if (!/^\d{1,10}$/.test(text) || Number(text) < least || Number(text) > most)
      throw new InvalidArgumentError(`Give a whole number from ${least} to ${most}.`);
    return Number(text);
  };
}

async function configOf(folder: string, { epochs, seed }: TrainOptions): Promise<ProjectConfig> {
  const config = await loadConfig(folder);
  return { ...config, ...(epochs === undefined ? {} : { epochs }), ...(seed === undefined ? {} : { seed }) };
}

/** One of the commands that train in a project. */
export interface TrainingTask extends LearnTask {
  /** As it is typed. */
  readonly command: string;
  /** What it writes, and where it keeps its state, below the folder. */
  readonly file: string;
  readonly checkpoint: string;
  /** A network to judge beside the new one. */
  readonly before?: { readonly graph: Graph; readonly file: string };
  readonly next: string;
}

const TRAIN: TrainingTask = {
  command: "kinglet train",
  file: MODEL_FILE,
  checkpoint: PROJECT_CHECKPOINT,
  next: "kinglet prune, kinglet quantize, kinglet evaluate, kinglet compile",
};

/** How a stopped training can go on; what is on disk decides. */
async function stopped(folder: string, { checkpoint, command }: TrainingTask): Promise<KingletError> {
  const kept = await exists(join(folder, checkpoint));
  return new KingletError(
    "interrupted",
    kept ? "the training was stopped; its last whole epoch is kept" : "the training was stopped in its first epoch",
    {
      ...(kept ? { hint: `${command} --resume goes on.` } : {}),
    },
  );
}

/** Where a training takes place. */
interface Project {
  readonly folder: string;
  readonly config: ProjectConfig;
  readonly dataset: Dataset;
}

async function learnVisibly({ folder, config, dataset }: Project, task: TrainingTask, options: TrainOptions, io: Io): Promise<Learned> {
  const display = new TrainingDisplay(io, config.epochs);
  const stop = new AbortController();
  const quiet = io.onStop?.(() => stop.abort());
  const { start, method, agreed } = task;
  try {
    const learned = await learn(config, dataset, {
      weights: start === undefined ? await readStartWeights(folder, config) : null,
      ...(start === undefined ? {} : { start }),
      ...(method === undefined ? {} : { method }),
      ...(agreed === undefined ? {} : { agreed }),
      checkpoint: join(folder, task.checkpoint),
      signal: stop.signal,
      onPlan: (plan) => display.begin(plan),
      onBatch: (progress) => display.batch(progress),
      onEpoch: (report) => display.epoch(report),
      ...(options.resume === true ? { resume: true } : {}),
      ...(options.threads === undefined ? {} : { threads: options.threads }),
    });
    display.end();
    return learned;
  } catch (error) {
    display.clear();
    throw error instanceof KingletError && error.code === "interrupted" ? await stopped(folder, task) : error;
  } finally {
    quiet?.();
  }
}

async function trainOn(project: Project, task: TrainingTask, options: TrainOptions, io: Io): Promise<void> {
  const { folder, config, dataset } = project;
  await checkModelFile(join(folder, task.file));
  const learned = await learnVisibly(project, task, options, io);
  const jury = juryOf(dataset, projectSplit(config, dataset));
  const bytes = writeKinglet(learned.network);
  const verdict = await judge(learned.network, join(folder, task.file), jury, bytes.length);
  const before = task.before === undefined ? [] : [await judge(task.before.graph, join(folder, task.before.file), jury)];
  const { accuracy, samples, confusion, classes } = verdict.network;
  const judged = { on: jury.name, samples, accuracy, confusion, classes };
  const training = { config, classes: dataset.info.classes, memoryBytes: learned.memoryBytes, epochs: learned.reports, judged };
  const page = await trainingPage(projectName(folder), learned.network, [...before, verdict], jury, learned.reports);
  const files = new Map<string, string | Uint8Array>([
    [task.file, bytes],
    [TRAINING_FILE, `${JSON.stringify(training, null, 1)}\n`],
    [REPORT_FILE, page],
  ]);
  await writeFiles(new Map([...files].map(([name, contents]) => [join(folder, name), contents])));
  answer(io, options, { folder, ...training, files: [...files.keys()] }, () =>
    [
      `On ${samples} samples of the ${jury.name}:`,
      ...[...before, verdict].map(verdictLine),
      "",
      `Written: ${[...files.keys()].map((name) => plain(join(folder, name))).join(", ")}`,
      `Next: ${task.next}`,
    ].join("\n"),
  );
}

/** Trains in a project's folder, as the command's task says once the project is known to be one. */
export async function trainProject(
  given: string | undefined,
  options: TrainOptions,
  io: Io,
  taskOf: (folder: string, config: ProjectConfig) => Promise<{ readonly task: TrainingTask; readonly config: ProjectConfig }>,
): Promise<void> {
  const folder = given ?? io.folder ?? ".";
  const { task, config } = await taskOf(folder, await configOf(folder, options));
  const dataset = await projectData(folder);
  try {
    await trainOn({ folder, config, dataset }, task, options, io);
  } finally {
    await dataset.close();
  }
}

/** Options that every command that trains has. */
export function trainingOptions(command: Command): Command {
  return command
    .argument("[dir]", `the project's folder, with ${CONFIG_FILE} (default: this folder)`)
    .option("--resume", "go on after the last whole epoch of a training that was stopped")
    .option("--epochs <n>", "instead of the configuration's", whole(1, 100_000))
    .option("--seed <n>", "instead of the configuration's", whole(0, 2 ** 32 - 1))
    .option("--threads <n>", "how many share each batch; the weights are the same (default: up to 4 where it pays)", whole(1, MOST_THREADS))
    .option("--json", "one JSON document on stdout");
}

export function addTrain(program: Command, io: Io): void {
  const command = program
    .command("train")
    .description("Trains the network of a project on its data. Each epoch is kept; the same seed gives the same weights.");
  trainingOptions(command)
    .addHelpText("after", "\nExamples:\n  kinglet train\n  kinglet train my-wand --epochs 5\n  kinglet train --resume")
    .action((folder: string | undefined, options: TrainOptions) => trainProject(folder, options, io, async (_, config) => ({ task: TRAIN, config })));
}
