import { type Combination, type Combining, combining } from "./combine.ts";
import { type ServerOptimizer, type ServerState, serverStep } from "./server-optimizer.ts";
import { alike, bySamples, type ClientUpdate, copySpans, type Span, WeightedSum } from "./update.ts";

/** How a federation learns: what clients add to their steps, how updates are combined, and how the coordinator follows. */
export interface Strategy {
  readonly combination: Combination;
  readonly server: ServerOptimizer;
  /** μ of FedProx. */
  readonly proximal?: number;
  /** Keeps control variates (SCAFFOLD); all clients count alike. */
  readonly control?: boolean;
  /**
   * Updates are counted by step, so that clients that take more do not pull more (FedNova; Wang et al., NeurIPS 2020): their momentum, 0
   * for none. The rule that combines sees them by step.
   */
  readonly normalizedSteps?: { readonly momentum: number };
  /**
   * The coordinator keeps a moving average of the versions, of which a round keeps this share, and gives it back instead of the last one (Polyak &
   * Juditsky 1992): versions of clients that differ go up and down from round to round, and their average does not. At the beginning it keeps less, as
   * `StepOptions.averageDecay` does. Clients begin with the last version all the same.
   */
  readonly averageDecay?: number;
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

export interface CombinedRound {
  readonly parameters: Float32Array;
  readonly state: StrategyState;
}

/** The updates of a round, taken one by one. What the strategy's rule does not need of them is not kept. */
export class StrategyRound {
  private readonly strategy: Strategy;
  private readonly clients: number;
  private readonly statistics: readonly Span[];
  private readonly deltas: Combining;
  private readonly controls = new WeightedSum();
  private controlled = 0;
  private readonly reach = new WeightedSum();

  /** @param clients of the whole federation. @param statistics where running statistics lie: neither steps nor optimizers change how they count. */
  constructor(strategy: Strategy, clients: number, statistics: readonly Span[]) {
    this.strategy = strategy;
    this.clients = clients;
    this.statistics = statistics;
    this.deltas = combining(strategy.combination, strategy.control === true ? alike : bySamples);
  }

  /** @throws what `Combining` throws. */
  add(update: ClientUpdate): void {
    this.deltas.add(this.byStep(update));
    if (update.control === undefined) return;
    this.controls.add(update.control, 1);
    this.controlled++;
  }

  private byStep(update: ClientUpdate): ClientUpdate {
    const { normalizedSteps } = this.strategy;
    if (normalizedSteps === undefined) return update;
    const reach = reachOfSteps(update.steps, normalizedSteps.momentum);
    this.reach.add(Float32Array.of(reach), update.samples);
    const byStep = update.delta.map((x) => x / reach);
    return { ...update, delta: copySpans(byStep, update.delta, this.statistics) };
  }

  /** The combined update; where updates are counted by step, times the clients' mean number of steps. */
  private delta(): Float32Array {
    const delta = this.deltas.result();
    if (this.strategy.normalizedSteps === undefined) return delta;
    const [effective] = this.reach.mean();
    const scaled = delta.map((x) => x * effective!);
    return copySpans(scaled, delta, this.statistics);
  }

  /** The common control variate moves by the clients' mean change, times their share of all. */
  private control(control: Float32Array | undefined): Float32Array | undefined {
    if (this.controlled === 0) return control;
    const share = this.controlled / this.clients;
    return this.controls.mean().map((x, i) => (control?.[i] ?? 0) + share * x);
  }

  /**
   * The parameters after the round.
   * @throws KingletError what `Combining` and `serverStep` throw.
   */
  finish(parameters: Float32Array, state: StrategyState): CombinedRound {
    const step = serverStep(this.strategy.server, parameters, this.delta(), state.server, this.statistics);
    return { parameters: step.parameters, state: { server: step.state, control: this.control(state.control) } };
  }
}
