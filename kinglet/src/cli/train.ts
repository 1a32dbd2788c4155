import { join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { KingletError } from "../base/index.ts";
import { writeKinglet } from "../formats/index.ts";
import { MOST_THREADS } from "../loops/index.ts";
import type { Dataset } from "../data/index.ts";
import { CONFIG_FILE, learn, type Learned, loadConfig, PROJECT_CHECKPOINT, type ProjectConfig, projectData, projectSplit } from "../project/index.ts";
import { exists, MODEL_FILE, projectName, REPORT_FILE, TRAINING_FILE } from "./project-files.ts";
import { writeFiles } from "./files.ts";
import { plain } from "./format.ts";
import { answer, type CommonOptions, type Io } from "./io.ts";
import { judge, juryOf, trainingPage, verdictLine } from "./judge.ts";
import { checkModelFile } from "./model-file.ts";
import { TrainingDisplay } from "./train-text.ts";

interface TrainOptions extends CommonOptions {
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

/** How a stopped training can go on; what is on disk decides. */
async function stopped(folder: string): Promise<KingletError> {
  const kept = await exists(join(folder, PROJECT_CHECKPOINT));
  return new KingletError(
    "interrupted",
    kept ? "the training was stopped; its last whole epoch is kept" : "the training was stopped in its first epoch",
    {
      ...(kept ? { hint: "kinglet train --resume goes on." } : {}),
    },
  );
}

async function learnVisibly(folder: string, config: ProjectConfig, dataset: Dataset, options: TrainOptions, io: Io): Promise<Learned> {
  const display = new TrainingDisplay(io, config.epochs);
  const stop = new AbortController();
  const quiet = io.onStop?.(() => stop.abort());
  try {
    const learned = await learn(config, dataset, {
      checkpoint: join(folder, PROJECT_CHECKPOINT),
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
    throw error instanceof KingletError && error.code === "interrupted" ? await stopped(folder) : error;
  } finally {
    quiet?.();
  }
}

async function trainOn(folder: string, config: ProjectConfig, dataset: Dataset, options: TrainOptions, io: Io): Promise<void> {
  await checkModelFile(join(folder, MODEL_FILE));
  const learned = await learnVisibly(folder, config, dataset, options, io);
  const jury = juryOf(dataset, projectSplit(config, dataset));
  const bytes = writeKinglet(learned.network);
  const verdict = await judge(learned.network, join(folder, MODEL_FILE), jury, bytes.length);
  const { accuracy, samples, confusion, classes } = verdict.network;
  const judged = { on: jury.name, samples, accuracy, confusion, classes };
  const training = { config, classes: dataset.info.classes, memoryBytes: learned.memoryBytes, epochs: learned.reports, judged };
  const page = await trainingPage(projectName(folder), learned.network, [verdict], jury, learned.reports);
  const files = new Map<string, string | Uint8Array>([
    [MODEL_FILE, bytes],
    [TRAINING_FILE, `${JSON.stringify(training, null, 1)}\n`],
    [REPORT_FILE, page],
  ]);
  await writeFiles(new Map([...files].map(([name, contents]) => [join(folder, name), contents])));
  answer(io, options, { folder, ...training, files: [...files.keys()] }, () =>
    [
      `On ${samples} samples of the ${jury.name}:`,
      verdictLine(verdict),
      "",
      `Written: ${[...files.keys()].map((name) => plain(join(folder, name))).join(", ")}`,
      "Next: kinglet quantize, kinglet evaluate, kinglet compile",
    ].join("\n"),
  );
}

async function train(given: string | undefined, options: TrainOptions, io: Io): Promise<void> {
  const folder = given ?? io.folder ?? ".";
  const config = await configOf(folder, options);
  const dataset = await projectData(folder);
  try {
    await trainOn(folder, config, dataset, options, io);
  } finally {
    await dataset.close();
  }
}

export function addTrain(program: Command, io: Io): void {
  program
    .command("train")
    .description("Trains the network of a project on its data. Each epoch is kept; the same seed gives the same weights.")
    .argument("[dir]", `the project's folder, with ${CONFIG_FILE} (default: this folder)`)
    .option("--resume", "go on after the last whole epoch of a training that was stopped")
    .option("--epochs <n>", "instead of the configuration's", whole(1, 100_000))
    .option("--seed <n>", "instead of the configuration's", whole(0, 2 ** 32 - 1))
    .option("--threads <n>", "how many share each batch; the weights are the same (default: up to 4 where it pays)", whole(1, MOST_THREADS))
    .option("--json", "one JSON document on stdout")
    .addHelpText("after", "\nExamples:\n  kinglet train\n  kinglet train my-wand --epochs 5\n  kinglet train --resume")
    .action((folder: string | undefined, options: TrainOptions) => train(folder, options, io));
}
