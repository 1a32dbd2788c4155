import { join } from "node:path";
import type { Command } from "commander";
import { KingletError } from "../base/index.ts";
import type { Graph } from "../graph/index.ts";
import { MOST_THREADS } from "../loops/index.ts";
import {
  CONFIG_FILE,
  learn,
  type Learned,
  type LearnTask,
  loadConfig,
  PROJECT_CHECKPOINT,
  type ProjectConfig,
  projectData,
  readStartWeights,
} from "../project/index.ts";
import { above0, whole } from "./arguments.ts";
import { isFullDisk } from "./errors.ts";
import type { StepDetails } from "./history.ts";
import { answer, type CommonOptions, type Io } from "./io.ts";
import { fingerprint, loadModel } from "./model.ts";
import { checkModelFile } from "./model-file.ts";
import { MODEL_FILE } from "./project-files.ts";
import { finishStep, judgedJson, type Project, type ProjectNetwork, stepText } from "./project-step.ts";
import { TrainingDisplay } from "./train-text.ts";

export interface TrainOptions extends CommonOptions {
  readonly resume?: boolean;
  readonly epochs?: number;
  readonly rate?: number;
  readonly seed?: number;
  readonly threads?: number;
}

/** The parts of the data stay what they are: another seed would teach what others judge by. */
function configWith(config: ProjectConfig, { epochs, rate, seed }: TrainOptions): ProjectConfig {
  return {
    ...config,
    ...(epochs === undefined ? {} : { epochs }),
    ...(seed === undefined ? {} : { seed }),
    ...(rate === undefined ? {} : { schedule: { ...config.schedule, rate } }),
  };
}

/** Shares of the configuration's epochs and learning rate, where nobody said others: a trained network knows already. */
export function gentler(config: ProjectConfig, given: TrainOptions, shares: { readonly epochs: number; readonly rate: number }): ProjectConfig {
  const { schedule } = config;
  return {
    ...config,
    schedule: given.rate === undefined ? { ...schedule, rate: schedule.rate * shares.rate } : schedule,
    epochs: given.epochs ?? Math.max(1, Math.ceil(config.epochs * shares.epochs)),
  };
}

/** One of the commands that train in a project. */
export interface TrainingTask extends LearnTask {
  /** As it is typed. */
  readonly command: string;
  readonly step: StepDetails["step"];
  /** What it writes, and where it keeps its state, below the folder. */
  readonly file: string;
  readonly checkpoint: string;
  /** A network to judge beside the new one. */
  readonly before?: ProjectNetwork;
  /** What is written of what was trained, where that is not the network itself, and what else is known of it. */
  readonly finish?: (trained: Graph) => Pick<StepDetails, "noise" | "zeros"> & { readonly graph: Graph };
  readonly next: string;
}

const TRAIN: TrainingTask = {
  command: "kinglet train",
  step: "trained",
  file: MODEL_FILE,
  checkpoint: PROJECT_CHECKPOINT,
  next: "kinglet prune, kinglet quantize, kinglet evaluate, kinglet compile",
};

/** How a stopped training can go on. */
function stopped(why: string, kept: boolean, { command }: TrainingTask): KingletError {
  return kept
    ? new KingletError("interrupted", `${why}; the last whole epoch is kept`, { hint: `${command} --resume goes on.` })
    : new KingletError("interrupted", `${why} in the first epoch`);
}

async function learnVisibly({ folder, config, dataset }: Project, task: TrainingTask, options: TrainOptions, io: Io): Promise<Learned> {
  const display = new TrainingDisplay(io, config.epochs);
  const stop = new AbortController();
  const quiet = io.onStop?.(() => stop.abort());
  const { start, method, agreed } = task;
  let kept = options.resume === true;
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
      onEpoch: (report) => {
        kept = true;
        display.epoch(report);
      },
      ...(options.resume === true ? { resume: true } : {}),
      ...(options.threads === undefined ? {} : { threads: options.threads }),
    });
    display.end();
    return learned;
  } catch (error) {
    display.clear();
    if (error instanceof KingletError && error.code === "interrupted") throw stopped("the training was stopped", kept, task);
    throw isFullDisk(error) ? stopped("the disk is full", kept, task) : error;
  } finally {
    quiet?.();
  }
}

async function trainOn(project: Project, task: TrainingTask, options: TrainOptions, io: Io): Promise<void> {
  const { folder, config, dataset } = project;
  await checkModelFile(join(folder, task.file));
  const learned = await learnVisibly(project, task, options, io);
  const { graph, ...found } = task.finish?.(learned.network) ?? { graph: learned.network };
  const before = task.before === undefined ? [] : [task.before];
  const result = await finishStep(project, { graph, file: task.file }, before, { step: task.step, epochs: learned.reports, ...found }, io);
  const json = {
    folder,
    config,
    classes: dataset.info.classes,
    memoryBytes: learned.memoryBytes,
    epochs: learned.reports,
    judged: judgedJson(result),
    steps: result.steps,
    files: result.files,
  };
  answer(io, options, json, () => stepText(folder, result, task.next));
}

/** What a command trains, once its project is known. */
export type TaskOf = (project: Project) => Promise<{ readonly task: TrainingTask; readonly config: ProjectConfig }>;

/** Trains in a project's folder. */
export async function trainProject(given: string | undefined, options: TrainOptions, io: Io, taskOf: TaskOf): Promise<void> {
  const folder = given ?? io.folder ?? ".";
  const asked = configWith(await loadConfig(folder), options);
  const dataset = await projectData(folder);
  try {
    const { task, config } = await taskOf({ folder, config: asked, dataset });
    await trainOn({ folder, config, dataset }, task, options, io);
  } finally {
    await dataset.close();
  }
}

/** How it is trained, for every command that can. */
export function trainingFlags(command: Command): Command {
  return command
    .option("--resume", "go on after the last whole epoch of a training that was stopped")
    .option("--epochs <n>", "instead of the configuration's", whole(1, 100_000))
    .option("--rate <r>", "learning rate instead of the configuration's", above0(1000))
    .option("--seed <n>", "of order and augmentation, instead of the configuration's", whole(0, 2 ** 32 - 1))
    .option("--threads <n>", "how many share each batch; the weights are the same (default: up to 4 where it pays)", whole(1, MOST_THREADS));
}

/** What every command that trains a project takes. */
export function trainingOptions(command: Command): Command {
  return trainingFlags(command.argument("[dir]", `the project's folder, with ${CONFIG_FILE} (default: this folder)`)).option(
    "--json",
    "one JSON document on stdout",
  );
}

interface TrainCliOptions extends TrainOptions {
  readonly start?: string;
}

async function train(folder: string | undefined, options: TrainCliOptions, io: Io): Promise<void> {
  if (options.start === undefined) return await trainProject(folder, options, io, async ({ config }) => ({ task: TRAIN, config }));
  const { graph } = await loadModel(options.start);
  const agreed = { "network to start from": fingerprint(graph) };
  const command = `kinglet train --start ${options.start}`;
  await trainProject(folder, options, io, async ({ config }) => ({ task: { ...TRAIN, start: graph, agreed, command }, config }));
}

export function addTrain(program: Command, io: Io): void {
  const command = program
    .command("train")
    .description("Trains the network of a project on its data. Each epoch is kept; the same seed gives the same weights.");
  trainingOptions(command)
    .option("--start <model>", "go on with the weights of a float network that takes the same samples and knows the same classes")
    .addHelpText(
      "after",
      "\nExamples:\n  kinglet train\n  kinglet train my-wand --epochs 5\n  kinglet train --resume\n  kinglet train --start large-data.kinglet --rate 0.001",
    )
    .action((folder: string | undefined, options: TrainCliOptions) => train(folder, options, io));
}
