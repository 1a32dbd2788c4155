import { join } from "node:path";
import type { Command } from "commander";
import { KingletError } from "../base/index.ts";
import { augmentsOf } from "../data/index.ts";
import {
  JobQueue,
  ownSamples,
  packClients,
  personalAccuracy,
  personalise,
  type PersonalReport,
  QueuedClients,
  type RoundReport,
  samplesId,
  type Simulation,
  simulateTask,
  type SimulationTask,
  ThreadClients,
} from "../federated/index.ts";
import { writeKinglet } from "../formats/index.ts";
import { MOST_THREADS } from "../loops/index.ts";
import { CONFIG_FILE, PROJECT_DATA, projectData } from "../project/index.ts";
import { renderFederation, sparkline } from "../report/index.ts";
import { positive, whole } from "./arguments.ts";
import { addAdministration } from "./federate-admin.ts";
import { addJoin } from "./federate-join.ts";
import { learningFlags } from "./federate-learning.ts";
import { configOf } from "./federate-project.ts";
import { addServe } from "./federate-serve.ts";
import { addSweep } from "./federate-sweep.ts";
import { type Manner, mannerOf, simulationFlags, type SimulationFlags, stageOf, taskOf } from "./federate-task.ts";
import { addWork, queueHooks } from "./federate-work.ts";
import { writeFiles } from "./files.ts";
import { bytes, count, plain, plural } from "./format.ts";
import { answer, type CommonOptions, type Io } from "./io.ts";
import { FEDERATED_FILE, projectName } from "./project-files.ts";
import type { Project } from "./project-step.ts";
import { percent } from "./train-text.ts";
import { version } from "./version.ts";

/** How the rounds of a simulation went. */
const ROUNDS_FILE = "federation.json";
const PAGE_FILE = "federation.html";

interface SimulateCliOptions extends CommonOptions, SimulationFlags {
  readonly personalise?: number;
  readonly threads: number;
}

/** Of a client's samples where the others judge a head of its own. */
const LEARNED_SHARE = 0.75;

/** Lines as rounds come: all on a terminal that draws anew, else each as it is. */
class RoundDisplay {
  private readonly reports: RoundReport[] = [];
  private drawn = false;
  private readonly io: Io;
  private readonly rounds: number;

  constructor(io: Io, rounds: number) {
    this.io = io;
    this.rounds = rounds;
  }

  private text({ round, clients, dropped, accuracy, bytes: sent, epsilon, secure }: RoundReport): string {
    const lost = dropped === 0 ? "" : ` (${count(dropped)} learned nothing)`;
    const privacy = epsilon === undefined ? "" : `  ε ${epsilon.toFixed(2)}`;
    const masked = secure === undefined ? "" : `, ${count(secure.survivors)} added up in ${secure.seconds.toFixed(1)} s`;
    return `round ${String(round).padStart(String(this.rounds).length)}/${this.rounds}  right ${percent(accuracy).padStart(7)}  ${count(clients)} clients${lost} sent ${bytes(sent)}${masked}${privacy}`;
  }

  round(report: RoundReport): void {
    this.reports.push(report);
    if (this.io.live !== true) {
      this.io.err(`${this.text(report)}\n`);
      return;
    }
    const curve = sparkline(
      this.reports.map(({ accuracy }) => accuracy),
      50,
      0,
      1,
    );
    this.io.err(`${this.drawn ? "\r\u001b[K\u001b[1A\u001b[K" : ""}  ${curve}\n${this.text(report)}`);
    this.drawn = true;
  }

  end(): void {
    if (this.drawn) this.io.err("\n");
  }
}

function spreadText(clients: readonly Int32Array[]): string {
  const sizes = clients.map(({ length }) => length);
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)];
  return `${plural(clients.length, "client")} ${clients.length === 1 ? "holds" : "hold"} ${least === most ? count(least) : `${count(least)} to ${count(most)}`} samples each`;
}

/** What a simulation tells, and what ends it. */
interface Hooks {
  readonly onRound: (report: RoundReport) => void;
  readonly signal: AbortSignal;
}

/** What a simulation gave; `people` where clients got heads of their own. */
interface Outcome {
  readonly result: Simulation;
  readonly clients: number;
  readonly people?: readonly PersonalReport[];
}

/** Simulates here, in threads, or with those who work at a queue. */
async function withWorkers(
  task: SimulationTask,
  { folder, dataset }: Project,
  options: SimulateCliOptions,
  io: Io,
  hooks: Hooks,
): Promise<Simulation> {
  const { threads } = options;
  if (options.queue === undefined) {
    if (threads === 1) return await simulateTask(task, dataset, hooks);
    const data = { folder: join(folder, PROJECT_DATA) };
    const training = await ThreadClients.open(task, dataset.info.classes, data, threads, hooks.signal);
    try {
      return await simulateTask(task, dataset, { ...hooks, training });
    } finally {
      await training.close();
    }
  }
  const samples = await samplesId(dataset, projectName(folder));
  const queue = await JobQueue.open(options.queue, samples, packClients(task), queueHooks(options.queue, io, hooks.signal));
  try {
    return await simulateTask(task, dataset, { ...hooks, training: new QueuedClients(queue) });
  } finally {
    await queue.close();
  }
}

async function run(project: Project, how: Manner, options: SimulateCliOptions, io: Io): Promise<Outcome> {
  const { config, dataset } = project;
  const stage = await stageOf(project, how);
  const own = options.personalise === undefined ? undefined : stage.clients.map((positions) => ownSamples(dataset, positions, LEARNED_SHARE));
  const clients = own?.map(({ learned }) => learned) ?? stage.clients;
  const task = taskOf({ ...stage, clients }, how, options);
  io.err(`${spreadText(clients)}; ${count(stage.test.length)} judge the network\n`);
  const display = new RoundDisplay(io, options.rounds);
  const stop = new AbortController();
  const quiet = io.onStop?.(() => stop.abort());
  try {
    const hooks = { onRound: (report: RoundReport) => display.round(report), signal: stop.signal };
    const result = await withWorkers(task, project, options, io, hooks);
    if (own === undefined) return { result, clients: clients.length };
    const local = { ...task.plan.local, augment: augmentsOf(task.plan.augmentation), epochs: options.personalise! };
    return { result, clients: clients.length, people: await personalise(result.network, dataset, own, local, config.seed) };
  } finally {
    display.end();
    quiet?.();
  }
}

function personalText(people: readonly PersonalReport[]): string {
  if (people.length === 0) return "No client has enough samples to learn from some and be judged on others.";
  const { before, after } = personalAccuracy(people);
  return `On the samples that ${count(people.length)} clients kept back, ${percent(before)} are right, and ${percent(after)} with last layers of their own.`;
}

async function simulateProject(given: string | undefined, options: SimulateCliOptions, io: Io): Promise<void> {
  const how = mannerOf(options);
  if (options.queue !== undefined && options.threads > 1)
    throw new KingletError("misuse", "--threads is for clients of this process, and with --queue others train", {
      hint: "Start kinglet federate work as often as the machine has cores.",
    });
  const folder = given ?? io.folder ?? ".";
  const config = await configOf(folder, options);
  const dataset = await projectData(folder);
  try {
    const { result, clients, people } = await run({ folder, config, dataset }, how, options, io);
    const { accuracy, samples } = result.evaluation;
    const personal = people === undefined || people.length === 0 ? {} : { personal: personalAccuracy(people) };
    const summary = { folder, clients, rounds: result.reports, accuracy, samples, ...personal };
    await writeFiles(
      new Map<string, string | Uint8Array>([
        [join(folder, FEDERATED_FILE), writeKinglet(result.network)],
        [join(folder, ROUNDS_FILE), `${JSON.stringify(summary, null, 1)}\n`],
        [join(folder, PAGE_FILE), renderFederation({ ...summary, title: projectName(folder), version: version() })],
      ]),
    );
    const sent = result.reports.reduce((sum, each) => sum + each.bytes, 0);
    answer(io, options, summary, () =>
      [
        `After ${plural(result.reports.length, "round")} ${percent(accuracy)} of ${count(samples)} samples are right; clients sent ${bytes(sent)} in all.`,
        ...(people === undefined ? [] : [personalText(people)]),
        `Written: ${plain(join(folder, FEDERATED_FILE))}, ${plain(join(folder, ROUNDS_FILE))}, ${plain(join(folder, PAGE_FILE))}`,
        `Next: ${folder === "." ? "" : `cd ${plain(folder)}, `}kinglet quantize ${FEDERATED_FILE}, kinglet compile`,
      ].join("\n"),
    );
  } finally {
    await dataset.close();
  }
}

const EXAMPLES = `
Examples:
  kinglet federate simulate --clients 100 --rounds 50 --split label:2
  kinglet federate simulate --split group --strategy fedprox --epochs 5
  kinglet federate simulate --split group --personalise 20
  kinglet federate simulate --split dirichlet:0.1 --average 0.9 --threads 4
  kinglet federate simulate --combine krum:2:5
  kinglet federate simulate --split group --devices
  kinglet federate simulate --secure --drop-out 0.05
  kinglet federate simulate --clients 10000 --queue redis://host:6379
  kinglet federate simulate --compress 4bit --clip 1 --noise 0.8 --budget 8`;

const STEPS = `
One machine plays all:
  kinglet federate simulate
A real federation, from a project's folder and from where the samples are:
  kinglet federate serve --port 8080
  kinglet federate token
  kinglet federate join http://host:8080 --data ./mine --token TOKEN`;

export function addFederate(program: Command, io: Io): void {
  const federate = program.command("federate").description("Learns from data that stays where it is.").addHelpText("after", STEPS);
  simulationFlags(
    learningFlags(
      federate
        .command("simulate")
        .description("Plays a federation on this machine: many clients with parts of a project's data, who share updates and no samples.")
        .argument("[dir]", `the project's folder, with ${CONFIG_FILE} (default: this folder)`),
    ),
  )
    .option(
      "--personalise <epochs>",
      "then each client trains a last layer of its own, and is judged on a quarter of its samples that it kept back",
      positive,
    )
    .option("--threads <n>", "clients that train at once, each with memory of its own; the outcome is the same", whole(1, MOST_THREADS), 1)
    .option("--json", "one JSON document on stdout")
    .addHelpText("after", EXAMPLES)
    .action((folder: string | undefined, options: SimulateCliOptions) => simulateProject(folder, options, io));
  addSweep(federate, io);
  addWork(federate, io);
  addServe(federate, io);
  addJoin(federate, io);
  addAdministration(federate, io);
}
