import { join } from "node:path";
import { type Command, Option } from "commander";
import { KingletError } from "../base/index.ts";
import { augmentsOf, type Dataset } from "../data/index.ts";
import {
  checkSimulation,
  ClientFile,
  type Compression,
  type LocalTraining,
  networkForDevices,
  ownSamples,
  type Partition,
  partition,
  personalAccuracy,
  personalise,
  type PersonalReport,
  type Privacy,
  type RoundReport,
  type SecureAggregation,
  simulate,
  type Simulation,
} from "../federated/index.ts";
import { writeKinglet } from "../formats/index.ts";
import {
  CONFIG_FILE,
  loadConfig,
  measureFeatures,
  type ProjectConfig,
  projectData,
  projectNetwork,
  projectSplit,
  readStartWeights,
} from "../project/index.ts";
import { renderFederation, sparkline } from "../report/index.ts";
import { positive } from "./arguments.ts";
import { addAdministration } from "./federate-admin.ts";
import { addJoin } from "./federate-join.ts";
import { above, compressionOf, type LearningOptions, learningFlags, privacyOf, strategyOf } from "./federate-learning.ts";
import { addServe } from "./federate-serve.ts";
import { writeFiles } from "./files.ts";
import { bytes, count, plain, plural } from "./format.ts";
import { answer, type CommonOptions, type Io } from "./io.ts";
import { FEDERATED_FILE, projectName } from "./project-files.ts";
import { percent } from "./train-text.ts";
import { version } from "./version.ts";

/** How the rounds of a simulation went. */
const ROUNDS_FILE = "federation.json";
const PAGE_FILE = "federation.html";

interface SimulateCliOptions extends CommonOptions, LearningOptions {
  readonly clients: number;
  readonly split: string;
  readonly secure?: true;
  readonly dropOut?: number;
  readonly personalise?: number;
  readonly until?: number;
  readonly decay: number;
}

/** Of a client's samples where the others judge a head of its own. */
const LEARNED_SHARE = 0.75;

/** What the words ask of a simulation. */
interface Manner {
  readonly split: Partition;
  readonly compression: Compression;
  readonly privacy?: Privacy;
  readonly secure?: SecureAggregation;
}

/** "iid", "label:2", "dirichlet:0.5" or "group". */
function partitionOf(text: string, clients: number): Partition {
  const [kind, value] = text.split(":") as [string, string?];
  const number = Number(value);
  if (kind === "iid" && value === undefined) return { kind, clients };
  if (kind === "group" && value === undefined) return { kind };
  if (kind === "label" && Number.isInteger(number) && number >= 1) return { kind, clients, perClient: number };
  if (kind === "dirichlet" && number > 0) return { kind, clients, alpha: number };
  throw new KingletError("misuse", `--split is ${text}; possible are iid, label:N, dirichlet:ALPHA and group`);
}

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

  private text({ round, clients, accuracy, bytes: sent, epsilon, secure }: RoundReport): string {
    const privacy = epsilon === undefined ? "" : `  ε ${epsilon.toFixed(2)}`;
    const masked = secure === undefined ? "" : `, ${count(secure.survivors)} added up in ${secure.seconds.toFixed(1)} s`;
    return `round ${String(round).padStart(String(this.rounds).length)}/${this.rounds}  right ${percent(accuracy).padStart(7)}  ${count(clients)} clients sent ${bytes(sent)}${masked}${privacy}`;
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

/** Where a simulation takes place, and what its words mean. */
interface Stage {
  readonly folder: string;
  readonly config: ProjectConfig;
  readonly dataset: Dataset;
  readonly how: Manner;
}

/** What a simulation gave; `people` where clients got heads of their own. */
interface Outcome {
  readonly result: Simulation;
  readonly clients: number;
  readonly people?: readonly PersonalReport[];
}

async function run({ folder, config, dataset, how }: Stage, options: SimulateCliOptions, io: Io): Promise<Outcome> {
  const split = projectSplit(config, dataset);
  const judged = split.test.length > 0 ? split.test : split.validation;
  if (judged.length === 0) throw new KingletError("bad-input", "the data set has no test part to judge the network on");
  const { labels, groups } = dataset.index;
  const held = partition({ positions: split.train, labels, groups }, how.split, config.seed);
  const own = options.personalise === undefined ? undefined : held.map((positions) => ownSamples(dataset, positions, LEARNED_SHARE));
  const clients = own?.map(({ learned }) => learned) ?? held;
  const whole = projectNetwork(config, dataset.info, await measureFeatures(config, dataset, split.train), await readStartWeights(folder, config));
  const network = options.devices === true ? networkForDevices(whole) : whole;
  io.err(`${spreadText(clients)}; ${count(judged.length)} judge the network\n`);
  const display = new RoundDisplay(io, options.rounds);
  const stop = new AbortController();
  const quiet = io.onStop?.(() => stop.abort());
  const local: LocalTraining = {
    optimizer: { kind: "sgd", momentum: 0 },
    epochs: options.epochs,
    batchSize: options.batch,
    rate: options.rate,
    augment: options.devices === true ? [] : augmentsOf(config.augmentation),
  };
  const memories = await ClientFile.open();
  try {
    const result = await simulate(network, dataset, clients, {
      strategy: strategyOf(options),
      local,
      memories,
      rounds: options.rounds,
      share: options.share,
      rateDecay: options.decay,
      seed: config.seed,
      compression: how.compression,
      ...(how.privacy === undefined ? {} : { privacy: how.privacy }),
      ...(how.secure === undefined ? {} : { secure: how.secure }),
      ...(options.until === undefined ? {} : { until: options.until }),
      test: judged,
      onRound: (report) => display.round(report),
      signal: stop.signal,
    });
    if (own === undefined) return { result, clients: clients.length };
    return {
      result,
      clients: clients.length,
      people: await personalise(result.network, dataset, own, { ...local, epochs: options.personalise! }, config.seed),
    };
  } finally {
    await memories.close();
    display.end();
    quiet?.();
  }
}

function personalText(people: readonly PersonalReport[]): string {
  if (people.length === 0) return "No client has enough samples to learn from some and be judged on others.";
  const { before, after } = personalAccuracy(people);
  return `On the samples that ${count(people.length)} clients kept back, ${percent(before)} are right, and ${percent(after)} with last layers of their own.`;
}

/** @throws KingletError `misuse` for words that make no sense together. */
function mannerOf(options: SimulateCliOptions): Manner {
  if (options.dropOut !== undefined && options.secure === undefined) throw new KingletError("misuse", "--drop-out needs --secure");
  const privacy = privacyOf(options);
  const how = {
    split: partitionOf(options.split, options.clients),
    compression: compressionOf(options.compress),
    ...(privacy === undefined ? {} : { privacy }),
    ...(options.secure === undefined ? {} : { secure: { dropOut: options.dropOut ?? 0 } }),
  };
  checkSimulation({ share: options.share, strategy: strategyOf(options), ...how });
  return how;
}

async function simulateProject(given: string | undefined, options: SimulateCliOptions, io: Io): Promise<void> {
  const how = mannerOf(options);
  const folder = given ?? io.folder ?? ".";
  const config = { ...(await loadConfig(folder)), ...(options.seed === undefined ? {} : { seed: options.seed }) };
  const dataset = await projectData(folder);
  try {
    const { result, clients, people } = await run({ folder, config, dataset, how }, options, io);
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
  kinglet federate simulate --split group --devices
  kinglet federate simulate --secure --drop-out 0.05
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
  learningFlags(
    federate
      .command("simulate")
      .description("Plays a federation on this machine: many clients with parts of a project's data, who share updates and no samples.")
      .argument("[dir]", `the project's folder, with ${CONFIG_FILE} (default: this folder)`)
      .option("--clients <n>", "how many there are", positive, 100)
      .option("--split <how>", "how samples are spread: iid, label:N classes each, dirichlet:ALPHA, or group (a client for each person)", "iid"),
  )
    .option("--secure", "the coordinator sees nothing but the sum of updates; their bytes and time are told")
    .addOption(new Option("--drop-out <share>", "with --secure: probability of a client to leave in a round").argParser(above(0, 1, true)))
    .option(
      "--personalise <epochs>",
      "then each client trains a last layer of its own, and is judged on a quarter of its samples that it kept back",
      positive,
    )
    .addOption(new Option("--decay <factor>", "what the rate is multiplied by after each round").argParser(above(0, 1, false)).default(1))
    .addOption(new Option("--until <share>", "ends once so many answers are right").argParser(above(0, 1, false)))
    .option("--json", "one JSON document on stdout")
    .addHelpText("after", EXAMPLES)
    .action((folder: string | undefined, options: SimulateCliOptions) => simulateProject(folder, options, io));
  addServe(federate, io);
  addJoin(federate, io);
  addAdministration(federate, io);
}
