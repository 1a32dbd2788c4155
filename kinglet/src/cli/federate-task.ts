import { type Command, Option } from "commander";
import { KingletError } from "../base/index.ts";
import { checkSimulation, type Partition, partition, type SecureAggregation, type SimulationTask } from "../federated/index.ts";
import { judgedPart, projectSplit } from "../project/index.ts";
import { positive } from "./arguments.ts";
import { above, type Learning, type LearningOptions, learningOf, secureOf } from "./federate-learning.ts";
import { networkOf, type Start, startOf } from "./federate-project.ts";
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
  readonly learning: Learning;
  readonly secure?: SecureAggregation;
  /** Whether microcontrollers take part. */
  readonly devices: boolean;
}

/** Where it takes place. */
export interface Stage extends Start, Pick<SimulationTask, "clients" | "test"> {}

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
  const [learning, secure] = [learningOf(options), secureOf(options)];
  const how: Manner = {
    split: partitionOf(options.split, options.clients),
    learning,
    ...(secure === undefined ? {} : { secure: { ...secure, dropOut: options.dropOut ?? 0 } }),
    devices: options.devices === true,
  };
  checkSimulation({ share: options.share, ...learning, ...(how.secure === undefined ? {} : { secure: how.secure }) });
  return how;
}

/** The stage of a project's simulation. @throws KingletError `bad-input` without samples to judge the network on. */
export async function stageOf(project: Project, { split, devices }: Manner): Promise<Stage> {
  const { config, dataset } = project;
  const parts = projectSplit(config, dataset);
  const judged = judgedPart(parts);
  if (judged.length === 0) throw new KingletError("bad-input", "the data set has no test part to judge the network on");
  const { labels, groups } = dataset.index;
  const clients = partition({ positions: parts.train, labels, groups }, split, config.seed);
  return { ...startOf(await networkOf(project), config, devices), clients, test: judged };
}

/** The whole of it. */
export function taskOf(
  { network, clients, test, augmentation, seed }: Stage,
  { learning, secure }: Manner,
  options: SimulationFlags,
): SimulationTask {
  const { rounds, share, until } = options;
  return {
    network,
    clients,
    test,
    plan: { ...learning, augmentation, rounds, share, seed, ...(secure === undefined ? {} : { secure }), ...(until === undefined ? {} : { until }) },
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
