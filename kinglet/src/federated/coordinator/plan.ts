import { KingletError } from "../../base/index.ts";
import { batchCount } from "../../data/index.ts";
import type { Graph } from "../../graph/index.ts";
import type { Compression } from "../compression.ts";
import type { LocalTraining } from "../local.ts";
import type { Description } from "../protocol/index.ts";
import type { RoundPlan } from "../round.ts";
import type { SecureRules } from "../secure/index.ts";
import type { ClientUpdate } from "../update.ts";

/** What a federation learns and how: the same from its first round to its last. */
export interface FederationPlan extends RoundPlan {
  readonly name: string;
  /** For a batch of one. */
  readonly network: Graph;
  readonly classes: readonly string[];
  /** How clients train; what the strategy adds to it is its own. */
  readonly local: Description["local"];
  /** Changes of samples by name, for clients who know them. */
  readonly augmentation: Readonly<Record<string, number>>;
  readonly compression: Compression;
  /** Updates are added up so that the coordinator sees their sum alone; for means, without compression and privacy. */
  readonly secure?: SecureRules;
  /** Of the order in which clients see their samples. */
  readonly seed: number;
}

/** How rounds go; they may be others after a restart. */
export interface RoundRules {
  /** Versions of the model to learn: rounds that succeed. */
  readonly rounds: number;
  /** Share of the ready clients in a round. */
  readonly share: number;
  /** Ready clients without whom no round begins. */
  readonly ready: number;
  /** Updates without which a round is given up; at least as many are wanted of each. */
  readonly minimum: number;
  /** So many clients are asked for each update that is wanted, since some do not answer. */
  readonly spare: number;
  /** A client with more samples counts as one with so many; with secure aggregation the plan says it. */
  readonly mostSamples: number;
  /** From its beginning to its deadline. */
  readonly seconds: number;
  /** For each step of secure aggregation after the first, in which clients train. */
  readonly stepSeconds: number;
  /** Between a round that was given up and the next. */
  readonly restSeconds: number;
}

export const DEFAULT_RULES: RoundRules = {
  rounds: 50,
  share: 0.1,
  ready: 2,
  minimum: 1,
  spare: 1.3,
  mostSamples: 1000,
  seconds: 120,
  stepSeconds: 60,
  restSeconds: 5,
};

/** @throws KingletError `misuse` for rules that cannot be. */
export function checkRules(rules: RoundRules): void {
  const { rounds, share, ready, minimum, spare, mostSamples, seconds, stepSeconds, restSeconds } = rules;
  const refuse = (what: string, value: number, may: string): never => {
    throw new KingletError("misuse", `${what} is ${value}; it is ${may}`);
  };
  for (const [what, value] of Object.entries({
    "the number of rounds": rounds,
    "the number of ready clients": ready,
    "the number of updates": minimum,
    "the most samples of a client": mostSamples,
  }))
    if (!(Number.isInteger(value) && value >= 1)) refuse(what, value, "a whole number from 1");
  if (!(share > 0 && share <= 1)) refuse("the share of clients in a round", share, "above 0 and at most 1");
  if (!(spare >= 1 && spare <= 10)) refuse("the number of clients asked for an update", spare, "from 1 to 10");
  if (!(seconds > 0 && seconds <= 1e6)) refuse("the time of a round", seconds, "above 0 seconds");
  if (!(stepSeconds > 0 && stepSeconds <= 1e6)) refuse("the time of a step", stepSeconds, "above 0 seconds");
  if (!(restSeconds >= 0 && restSeconds <= 1e6)) refuse("the time between rounds", restSeconds, "at least 0 seconds");
}

/**
 * What an update counts for. Clients say themselves how many samples and steps it rests on, and one that says billions would be the whole mean:
 * so samples count up to a most (McMahan et al., ICLR 2018), and steps as far as the project's batches make so many of those.
 */
export function countedFor(
  { samples, steps }: Pick<ClientUpdate, "samples" | "steps">,
  { epochs, batchSize }: Pick<LocalTraining, "epochs" | "batchSize">,
  mostSamples: number,
): Pick<ClientUpdate, "samples" | "steps"> {
  const counted = Math.min(samples, mostSamples);
  return { samples: counted, steps: Math.min(steps, epochs * batchCount(counted, { batchSize })) };
}
