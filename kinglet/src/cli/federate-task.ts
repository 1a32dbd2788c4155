import { type Command, Option } from "commander";
import { KingletError } from "../base/index.ts";
import {
  checkSimulation,
  type Compression,
  networkForDevices,
  type Partition,
  partition,
  type Privacy,
  type SecureAggregation,
  type SimulationPlan,
  type SimulationTask,
} from "../federated/index.ts";
import { judgedPart, measureFeatures, type ProjectConfig, projectNetwork, projectSplit, readStartWeights } from "../project/index.ts";
import { positive } from "./arguments.ts";
import { above, compressionOf, type LearningOptions, localOf, privacyOf, secureOf, strategyOf } from "./federate-learning.ts";
import type { Project } from "./project-step.ts";

/** What a simulation is told beside how it learns. */
export interface SimulationFlags extends LearningOptions {
  readonly clients: number;
  readonly split: string;
  readonly dropOut?: number;
  readonly until?: number;
  readonly queue?: string;
}

/** What the words ask of a simulation. */
export interface Manner {
  readonly split: Partition;
  readonly compression: Compression;
  readonly privacy?: Privacy;
  readonly secure?: SecureAggregation;
  /** Whether microcontrollers take part. */
  readonly devices: boolean;
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

/** @throws KingletError `misuse` for words that make no sense together. */
export function mannerOf(options: SimulationFlags): Manner {
  if (options.dropOut !== undefined && options.secure === undefined) throw new KingletError("misuse", "--drop-out needs --secure");
  const [privacy, secure] = [privacyOf(options), secureOf(options)];
  const how = {
    split: partitionOf(options.split, options.clients),
    compression: compressionOf(options.compress),
    ...(privacy === undefined ? {} : { privacy }),
    ...(secure === undefined ? {} : { secure: { ...secure, dropOut: options.dropOut ?? 0 } }),
    devices: options.devices === true,
  };
  checkSimulation({ share: options.share, strategy: strategyOf(options), ...how });
  return how;
}

/** Where a project's simulation takes place. @throws KingletError `bad-input` without samples to judge the network on. */
export async function stageOf({ folder, config, dataset }: Project, { split, devices }: Manner): Promise<Omit<SimulationTask, "plan">> {
  const parts = projectSplit(config, dataset);
  const { train } = parts;
  const judged = judgedPart(parts);
  if (judged.length === 0) throw new KingletError("bad-input", "the data set has no test part to judge the network on");
  const { labels, groups } = dataset.index;
  const network = projectNetwork(config, dataset.info, await measureFeatures(config, dataset, train), await readStartWeights(folder, config));
  return {
    network: devices ? networkForDevices(network) : network,
    clients: partition({ positions: train, labels, groups }, split, config.seed),
    test: judged,
  };
}

/** How it goes. */
export function planOf({ seed, augmentation }: ProjectConfig, how: Manner, options: SimulationFlags): SimulationPlan {
  return {
    strategy: strategyOf(options),
    local: localOf(options),
    augmentation: how.devices ? {} : { ...augmentation },
    rounds: options.rounds,
    share: options.share,
    seed,
    compression: how.compression,
    ...(how.privacy === undefined ? {} : { privacy: how.privacy }),
    ...(how.secure === undefined ? {} : { secure: how.secure }),
    ...(options.until === undefined ? {} : { until: options.until }),
  };
}

/** Flags of everything that simulates, beside `learningFlags`. */
export function simulationFlags(command: Command): Command {
  return command
    .option("--clients <n>", "how many there are", positive, 100)
    .option("--split <how>", "how samples are spread: iid, label:N classes each, dirichlet:ALPHA, or group (a client for each person)", "iid")
    .addOption(new Option("--drop-out <share>", "with --secure: probability of a client to leave in a round").argParser(above(0, 1, true)))
    .addOption(new Option("--until <share>", "ends once so many answers are right").argParser(above(0, 1, false)))
    .option("--queue <url>", "lets workers at this Redis train, as redis://host:6379 (kinglet federate work)");
}
