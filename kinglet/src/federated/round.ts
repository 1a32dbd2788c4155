import { KingletError } from "../base/index.ts";
import { checkAverage, WeightAverage } from "../train/browser.ts";
import { privacyLoss } from "./accountant.ts";
import type { Compression } from "./compression.ts";
import { type Noise, type Privacy, PrivateSum } from "./privacy.ts";
import { serverStep } from "./server-optimizer.ts";
import { type Strategy, StrategyRound, type StrategyState } from "./strategy.ts";
import type { ClientUpdate, Span } from "./update.ts";

/** How rounds are combined: by a strategy, with noise where privacy is asked for. */
export interface RoundPlan {
  readonly strategy: Strategy;
  readonly privacy?: Privacy;
}

/** What the coordinator remembers from round to round. */
export interface RoundState extends StrategyState {
  /** How many rounds gave a version so far. */
  readonly version: number;
  /** The moving average of the versions, for strategies that keep one; undefined before the first round. */
  readonly average: Float32Array | undefined;
  /** The length to which updates are shortened next; 0 without privacy. */
  readonly clip: number;
}

/** @throws KingletError `misuse` for a strategy that privacy cannot be counted for. */
export function checkPrivacy(strategy: Strategy, privacy: Privacy | undefined): void {
  // Other rules, steps that differ and control variates would tell more than the noise hides.
  if (privacy !== undefined) checkMean(strategy, "privacy is counted for");
}

/** Before the first round. @throws what `checkPrivacy` and `checkAverage` throw. */
export function beginningState({ strategy, privacy }: RoundPlan): RoundState {
  checkPrivacy(strategy, privacy);
  if (strategy.averageDecay !== undefined) checkAverage(strategy.averageDecay);
  return { server: new Map(), control: undefined, version: 0, average: undefined, clip: privacy?.clip ?? 0 };
}

/** @throws KingletError `misuse` for a strategy that wants more of updates than their mean. */
export function checkMean({ combination, control, normalizedSteps }: Strategy, what: string): void {
  if (combination.kind === "mean" && control !== true && normalizedSteps === undefined) return;
  throw new KingletError("misuse", `${what} the mean of updates alone`, {
    hint: "Use FedAvg, FedProx or an optimizer of the coordinator.",
  });
}

/** @throws KingletError `misuse` for what cannot be added up unseen. */
export function checkSecure({ strategy, privacy }: RoundPlan, compression: Compression): void {
  checkMean(strategy, "secure aggregation is for");
  if (compression.kind !== "none") throw new KingletError("misuse", "masked numbers cannot be compressed: secure aggregation sends all of them");
  if (privacy !== undefined)
    throw new KingletError("misuse", "privacy and secure aggregation go one at a time", {
      hint: "Privacy shortens each update where it is seen, and nobody sees one here.",
    });
}

/** The ε that `rounds` rounds cost which each asked every client with probability `share` (`drawClients`). */
export function privacySpent({ noise, delta }: Privacy, share: number, rounds: number): number {
  return privacyLoss({ share, noise }, rounds, delta).epsilon;
}

/** What a round needs to know. */
export interface RoundAbout {
  /** All clients of the federation. */
  readonly clients: number;
  /** How many of them answer on average; for privacy alone, as is `noise`. */
  readonly expected: number;
  readonly noise: Noise;
  /** Where running statistics lie among the parameters (`LocalTrainer.statistics`). */
  readonly statistics: readonly Span[];
}

export interface RoundResult {
  readonly parameters: Float32Array;
  readonly state: RoundState;
}

/** A round that takes its updates one by one and adds them in this order. What its rule does not need of them is not kept. */
export class Round {
  private readonly plan: RoundPlan;
  private readonly parameters: Float32Array;
  private readonly state: RoundState;
  private readonly about: RoundAbout;
  private readonly updates: StrategyRound | PrivateSum;

  constructor(plan: RoundPlan, parameters: Float32Array, state: RoundState, about: RoundAbout) {
    this.plan = plan;
    this.parameters = parameters;
    this.state = state;
    this.about = about;
    const { strategy, privacy } = plan;
    this.updates =
      privacy === undefined ? new StrategyRound(strategy, about.clients, about.statistics) : new PrivateSum(parameters.length, privacy, state.clip);
  }

  /** @throws KingletError `bad-input` for an update of another length. */
  add(update: ClientUpdate): void {
    this.updates.add(update);
  }

  /** @throws KingletError what the strategy's rule throws, such as `check-failed` for too few updates. */
  finish(): RoundResult {
    const { plan, parameters, state, about, updates } = this;
    if (updates instanceof PrivateSum) {
      const { delta, clip } = updates.mean(about.expected, about.noise);
      return afterMean(plan.strategy, parameters, delta, { ...state, clip }, about.statistics);
    }
    const next = updates.finish(parameters, state);
    return nextVersion(plan.strategy, parameters, { parameters: next.parameters, state: { ...state, ...next.state } });
  }
}

/** The parameters after a round whose mean is known already: by privacy or secure aggregation. */
export function afterMean(
  strategy: Strategy,
  parameters: Float32Array,
  mean: Float32Array,
  state: RoundState,
  statistics: readonly Span[],
): RoundResult {
  const step = serverStep(strategy.server, parameters, mean, state.server, statistics);
  return nextVersion(strategy, parameters, { parameters: step.parameters, state: { ...state, server: step.state } });
}

const VERSIONS = "versions";

/** Counts the version, and moves the average of versions on, which begins at `before`. */
function nextVersion({ averageDecay }: Strategy, before: Float32Array, { parameters, state }: RoundResult): RoundResult {
  const version = state.version + 1;
  if (averageDecay === undefined) return { parameters, state: { ...state, version } };
  const average = new WeightAverage(averageDecay, new Map([[VERSIONS, state.average ?? before]]));
  average.add(version, () => parameters);
  return { parameters, state: { ...state, version, average: average.weights.get(VERSIONS) } };
}

/** What a federation is judged by and gives back after a round. */
export function federatedWeights({ parameters, state }: RoundResult): Float32Array {
  return state.average ?? parameters;
}
