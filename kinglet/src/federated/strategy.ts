import { type Combination, combine } from "./combine.ts";
import { type ServerOptimizer, type ServerState, serverStep } from "./server-optimizer.ts";
import { alike, type ClientUpdate, weightedMean } from "./update.ts";

/** How a federation learns: what clients add to their steps, how updates are combined, and how the coordinator follows. */
export interface Strategy {
  readonly combination: Combination;
  readonly server: ServerOptimizer;
  /** μ of FedProx. */
  readonly proximal?: number;
  /** Keeps control variates (SCAFFOLD); all clients count alike. */
  readonly control?: boolean;
  /** Updates are counted by step, so that clients that take more do not pull more (FedNova; Wang et al., NeurIPS 2020): their momentum, 0 for none. */
  readonly normalizedSteps?: { readonly momentum: number };
}

const MEAN: Combination = { kind: "mean" };
const AVERAGE: ServerOptimizer = { kind: "average" };

/** The usual ones by name, with the defaults of their papers. */
export const STRATEGIES = {
  fedavg: { combination: MEAN, server: AVERAGE },
  fedprox: { combination: MEAN, server: AVERAGE, proximal: 0.01 },
  fedavgm: { combination: MEAN, server: { kind: "momentum" } },
  fedadagrad: { combination: MEAN, server: { kind: "adagrad" } },
  fedadam: { combination: MEAN, server: { kind: "adam" } },
  fedyogi: { combination: MEAN, server: { kind: "yogi" } },
  scaffold: { combination: MEAN, server: AVERAGE, control: true },
  fednova: { combination: MEAN, server: AVERAGE, normalizedSteps: { momentum: 0 } },
  median: { combination: { kind: "median" }, server: AVERAGE },
  trimmed: { combination: { kind: "trimmedMean", cut: 0.2 }, server: AVERAGE },
} as const satisfies Record<string, Strategy>;

/** What the coordinator remembers. */
export interface StrategyState {
  readonly server: ServerState;
  /** The common control variate; undefined is 0. */
  readonly control: Float32Array | undefined;
}

/** How far τ steps of gradient descent with momentum ρ reach, in steps without. */
export function reachOfSteps(steps: number, momentum: number): number {
  return (steps - (momentum * (1 - momentum ** steps)) / (1 - momentum)) / (1 - momentum);
}

/** Updates by step, times the mean number of steps. */
function normalized(updates: readonly ClientUpdate[], momentum: number): ClientUpdate[] {
  const total = updates.reduce((sum, { samples }) => sum + samples, 0);
  const reach = updates.map(({ steps }) => reachOfSteps(steps, momentum));
  const effective = updates.reduce((sum, { samples }, i) => sum + (samples / total) * reach[i]!, 0);
  return updates.map((update, i) => ({ ...update, delta: update.delta.map((x) => (x * effective) / reach[i]!) }));
}

/** The common control variate moves by the clients' mean change, times their share of all. */
function movedControl(updates: readonly ClientUpdate[], control: Float32Array | undefined, clients: number): Float32Array | undefined {
  const changes = updates.flatMap(({ control: change }) => (change === undefined ? [] : [change]));
  if (changes.length === 0) return control;
  const share = changes.length / clients;
  const mean = weightedMean(
    changes,
    changes.map(() => 1),
  );
  return mean.map((x, i) => (control?.[i] ?? 0) + share * x);
}

export interface CombinedRound {
  readonly parameters: Float32Array;
  readonly state: StrategyState;
}

/**
 * The parameters after a round.
 * @param about `clients`: all of the federation; `delta`: the combined update, where privacy has made it already.
 * @throws KingletError what `combine` and `serverStep` throw.
 */
export function combined(
  strategy: Strategy,
  parameters: Float32Array,
  updates: readonly ClientUpdate[],
  state: StrategyState,
  about: { readonly clients: number; readonly delta?: Float32Array },
): CombinedRound {
  const { normalizedSteps, control, combination } = strategy;
  const counted = normalizedSteps === undefined ? updates : normalized(updates, normalizedSteps.momentum);
  const delta = about.delta ?? (control === true ? combine(counted, combination, alike) : combine(counted, combination));
  const step = serverStep(strategy.server, parameters, delta, state.server);
  const next = control === true ? movedControl(updates, state.control, about.clients) : state.control;
  return { parameters: step.parameters, state: { server: step.state, control: next } };
}
