import { join } from "node:path";
import type { Command } from "commander";
import { KingletError } from "../base/index.ts";
import { JobQueue, packTask, type RoundReport, type SamplesId, samplesId, simulateTask, type SimulationTask } from "../federated/index.ts";
import { CONFIG_FILE, loadConfig, type ProjectConfig, projectData } from "../project/index.ts";
import { learningFlags, type LearningOptions, SWEPT, type Swept } from "./federate-learning.ts";
import { mannerOf, simulationFlags, type SimulationFlags, stageOf, taskOf } from "./federate-task.ts";
import { queueHooks } from "./federate-work.ts";
import { count, plain, plural } from "./format.ts";
import { answer, type CommonOptions, type Io } from "./io.ts";
import { projectName } from "./project-files.ts";
import type { Project } from "./project-step.ts";
import {
  type Choice,
  choiceText,
  csvPath,
  failedResult,
  readResults,
  resultOf,
  resultsTable,
  type SweepResult,
  writeResults,
} from "./sweep-results.ts";
import { percent } from "./train-text.ts";
import { version } from "./version.ts";

const SWEEP_FILE = "sweep.json";

interface SweepCliOptions extends CommonOptions, Omit<SimulationFlags, Swept> {
  readonly strategy: readonly LearningOptions["strategy"][];
  readonly epochs: readonly number[];
  readonly batch: readonly number[];
  readonly rate: readonly number[];
  readonly seed?: readonly number[];
  readonly out?: string;
}

/** Simulations that wait at a queue at once. */
const AHEAD = 32;

/** Every combination; the last option changes fastest. */
function combinations({ strategy, epochs, batch, rate, seed }: SweepCliOptions, config: ProjectConfig): Choice[] {
  const values = { strategy, epochs, batch, rate, seed: seed ?? [config.seed] };
  let all: Partial<Choice>[] = [{}];
  for (const name of SWEPT) all = all.flatMap((some) => values[name].map((value) => ({ ...some, [name]: value })));
  return all as Choice[];
}

/** Whoever does a whole simulation. */
type Simulates = (task: SimulationTask, place: number) => Promise<readonly RoundReport[]>;

/** This process, or those who work at a queue; `most` at once. */
interface Means {
  readonly simulate: Simulates;
  readonly most: number;
  close(): Promise<void>;
}

async function meansOf({ dataset }: Project, samples: SamplesId, url: string | undefined, io: Io, signal: AbortSignal): Promise<Means> {
  if (url === undefined) return { simulate: async (task) => (await simulateTask(task, dataset, { signal })).reports, most: 1, close: async () => {} };
  const queue = await JobQueue.open(url, samples, { header: {}, parts: [] }, queueHooks(url, io, signal));
  const simulate: Simulates = async (task, place) => (await queue.submit<readonly RoundReport[]>("simulation", `${place}`, packTask(task))).header;
  return { simulate, most: AHEAD, close: () => queue.close() };
}

/** Does `work` for all, at most so many at once; the first failure ends it. */
async function atMost<T>(most: number, all: readonly T[], work: (each: T, place: number) => Promise<void>): Promise<void> {
  const rest = all.entries();
  const take = async (): Promise<void> => {
    for (const [place, each] of rest) await work(each, place);
  };
  await Promise.all(Array.from({ length: Math.min(most, all.length) }, take));
}

/** A sweep at work: what is done is written at once, so that it can be stopped and gone on with. */
class Sweep {
  private readonly project: Project;
  private readonly options: SweepCliOptions;
  private readonly settings: unknown;
  private readonly path: string;
  private readonly io: Io;
  private readonly stages = new Map<number, ReturnType<typeof stageOf>>();
  private readonly done: Map<string, SweepResult>;
  private writing: Promise<void> = Promise.resolve();
  readonly all: readonly Choice[];

  constructor(
    project: Project,
    options: SweepCliOptions,
    file: { readonly path: string; readonly settings: unknown },
    before: readonly SweepResult[],
    io: Io,
  ) {
    this.project = project;
    this.options = options;
    this.settings = file.settings;
    this.path = file.path;
    this.io = io;
    this.done = new Map(before.map((result) => [choiceText(result), result]));
    this.all = combinations(options, project.config);
  }

  get todo(): Choice[] {
    return this.all.filter((choice) => !this.done.has(choiceText(choice)));
  }

  /** Those that were asked for, in their order. */
  get results(): SweepResult[] {
    return this.all.map((choice) => this.done.get(choiceText(choice))!).filter((result) => result !== undefined);
  }

  private async task(choice: Choice): Promise<SimulationTask> {
    const { folder, dataset } = this.project;
    const options = { ...this.options, ...choice };
    const config = { ...this.project.config, seed: choice.seed };
    const how = mannerOf(options);
    // A seed's network and clients are the same for all that else is tried.
    const stage = this.stages.get(config.seed) ?? stageOf({ folder, config, dataset }, how);
    this.stages.set(config.seed, stage);
    return taskOf(await stage, how, options);
  }

  private async keep(result: SweepResult): Promise<void> {
    this.done.set(choiceText(result), result);
    const told = result.failed ?? `best ${percent(result.best)} in ${plural(result.rounds, "round")}`;
    this.io.err(`${count(this.all.length - this.todo.length)} of ${count(this.all.length)}: ${choiceText(result)}: ${told}\n`);
    const file = { settings: this.settings, results: [...this.done.values()] };
    this.writing = this.writing.then(() => writeResults(this.path, file));
    await this.writing;
  }

  async run({ simulate, most }: Means): Promise<void> {
    await atMost(most, this.todo, async (choice, place) => {
      try {
        const reports = await simulate(await this.task(choice), place);
        await this.keep(resultOf(choice, reports, this.options.until));
      } catch (error) {
        // A rate at which training bursts is a result of the sweep, too.
        if (!(error instanceof KingletError && error.code === "check-failed")) throw error;
        await this.keep(failedResult(choice, error.message));
      }
    });
  }
}

/** All that results rest on beside their choice. */
function settingsOf({ config }: Project, options: SweepCliOptions, { digest }: SamplesId): unknown {
  const { json: _json, queue: _queue, out: _out, strategy: _strategy, epochs: _epochs, batch: _batch, rate: _rate, seed: _seed, ...fixed } = options;
  return JSON.parse(JSON.stringify({ version: version(), samples: digest, ...fixed, config })) as unknown;
}

async function sweepProject(given: string | undefined, options: SweepCliOptions, io: Io): Promise<void> {
  const folder = given ?? io.folder ?? ".";
  const config = await loadConfig(folder);
  // Words that contradict each other are told now, not when their turn comes.
  for (const choice of combinations(options, config)) mannerOf({ ...options, ...choice });
  const project = { folder, config, dataset: await projectData(folder) };
  const stop = new AbortController();
  const quiet = io.onStop?.(() => stop.abort());
  try {
    const samples = await samplesId(project.dataset, projectName(folder));
    const path = options.out ?? join(folder, SWEEP_FILE);
    const settings = settingsOf(project, options, samples);
    const sweep = new Sweep(project, options, { path, settings }, await readResults(path, settings), io);
    io.err(`${plural(sweep.all.length, "combination")}, ${count(sweep.all.length - sweep.todo.length)} done before\n`);
    const means = await meansOf(project, samples, options.queue, io, stop.signal);
    try {
      await sweep.run(means);
    } finally {
      await means.close();
    }
    const { results } = sweep;
    answer(io, options, { folder, settings, results }, () =>
      [resultsTable(results, options.until), "", `Written: ${plain(path)}, ${plain(csvPath(path))}`].join("\n"),
    );
  } finally {
    quiet?.();
    await project.dataset.close();
  }
}

const EXAMPLES = `
What is done is in the file at once: after Ctrl-C the same command goes on, and with more values it does what is new.

Examples:
  kinglet federate sweep --rate 0.05,0.1,0.2 --seed 1,2,3 --until 0.95
  kinglet federate sweep --strategy fedavg,fedprox,scaffold --split label:2 --queue redis://host:6379`;

export function addSweep(federate: Command, io: Io): void {
  const command = federate
    .command("sweep")
    .description("Simulates with every combination of some values: of --strategy, --epochs, --batch, --rate and --seed, each several with commas.")
    .argument("[dir]", `the project's folder, with ${CONFIG_FILE} (default: this folder)`);
  simulationFlags(learningFlags(command, true))
    .option("--out <file>", `for results, and beside it as .csv (default: ${SWEEP_FILE} of the project)`)
    .option("--json", "one JSON document on stdout")
    .addHelpText("after", EXAMPLES)
    .action((folder: string | undefined, options: SweepCliOptions) => sweepProject(folder, options, io));
}
