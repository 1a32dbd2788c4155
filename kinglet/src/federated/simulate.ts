import { KingletError } from "../base/index.ts";
import { type Dataset, gaussian, randomAt, shuffle } from "../data/browser.ts";
import type { Graph } from "../graph/index.ts";
import { type Evaluation, evaluateOn } from "../train/browser.ts";
import { type ClientMemory, correctionOf, sentUpdate } from "./client-round.ts";
import type { Compression } from "./compression.ts";
import { LocalTrainer, type LocalTraining } from "./local.ts";
import type { Privacy } from "./privacy.ts";
import { beginningState, privacySpent, roundResult, type RoundState } from "./round.ts";
import type { Strategy } from "./strategy.ts";
import type { ClientUpdate } from "./update.ts";

export interface SimulationOptions {
  readonly strategy: Strategy;
  readonly local: LocalTraining;
  readonly rounds: number;
  /** Share of the clients in a round; at least one is. */
  readonly share: number;
  readonly seed?: number;
  readonly compression?: Compression;
  readonly privacy?: Privacy;
  /** What clients do to their updates before they send them: for trying attacks. */
  readonly tamper?: (update: ClientUpdate, round: number) => ClientUpdate;
  /** Samples that the network is judged on. */
  readonly test: Int32Array;
  readonly onRound?: (report: RoundReport) => void;
  /** Ends the simulation once a round's accuracy has reached this. */
  readonly until?: number;
  readonly signal?: AbortSignal;
}

/** What a round gave. */
export interface RoundReport {
  /** From 1. */
  readonly round: number;
  readonly clients: number;
  readonly accuracy: number;
  readonly best: number;
  /** What all clients of the round sent together. */
  readonly bytes: number;
  /** The privacy spent so far; without privacy undefined. */
  readonly epsilon?: number;
  readonly seconds: number;
}

export interface Simulation {
  readonly network: Graph;
  readonly parameters: Float32Array;
  readonly reports: readonly RoundReport[];
  readonly evaluation: Evaluation;
}

const [SELECTION, NOISE] = [0x73656c, 0x6e6f69];
const JUDGED_AT_ONCE = 32;

/** The clients of a round, drawn without replacement. */
export function selectClients(clients: number, share: number, seed: number, round: number): number[] {
  const order = Array.from({ length: clients }, (_, i) => i);
  return shuffle(order, randomAt(SELECTION, seed, round))
    .slice(0, Math.max(1, Math.round(share * clients)))
    .sort((a, b) => a - b);
}

/** The share of the clients that rounds really have: at least one is there. */
function realShare(share: number, clients: number): number {
  return Math.max(1, Math.round(share * clients)) / clients;
}

/** One process plays all clients and the coordinator: rounds of selection, local training, combination and judgement. */
class Simulator {
  private parameters: Float32Array;
  private state: RoundState;
  private readonly trainer: LocalTrainer;
  private readonly memories = new Map<number, ClientMemory>();
  private readonly dataset: Dataset;
  private readonly clients: readonly Int32Array[];
  private readonly options: SimulationOptions;

  constructor(network: Graph, dataset: Dataset, clients: readonly Int32Array[], options: SimulationOptions) {
    const { strategy, local } = options;
    this.state = beginningState(options);
    this.dataset = dataset;
    this.clients = clients;
    this.options = options;
    this.trainer = new LocalTrainer(
      network,
      { ...local, ...(strategy.proximal === undefined ? {} : { proximal: strategy.proximal }) },
      { corrected: strategy.control === true },
    );
    this.parameters = this.trainer.initialParameters();
  }

  private async update(client: number, round: number): Promise<{ update: ClientUpdate; bytes: number }> {
    const { seed = 1, compression = { kind: "none" }, tamper, strategy } = this.options;
    const before = this.memories.get(client) ?? {};
    const corrected = strategy.control === true ? { correction: correctionOf(this.state.control, before, this.trainer.length) } : {};
    const place = { seed: seed * 1_000_003 + client, round, ...corrected };
    const trained = await this.trainer.train(this.dataset, this.clients[client]!, client, { parameters: this.parameters, ...place });
    const learned = tamper === undefined ? trained : tamper(trained, round);
    const { sent, control, memory } = sentUpdate(learned, before, { compression, rate: this.options.local.rate, ...place });
    this.memories.set(client, memory);
    const update = { ...learned, delta: sent.update, ...(control === undefined ? {} : { control }) };
    return { update, bytes: sent.bytes.length };
  }

  async round(round: number): Promise<{ clients: number; bytes: number }> {
    const { seed = 1, share } = this.options;
    const selected = selectClients(this.clients.length, share, seed, round);
    const updates: ClientUpdate[] = [];
    let bytes = 0;
    for (const client of selected) {
      const { update, bytes: sent } = await this.update(client, round);
      updates.push(update);
      bytes += sent;
    }
    const random = randomAt(NOISE, seed, round);
    ({ parameters: this.parameters, state: this.state } = roundResult(this.options, this.parameters, updates, this.state, {
      clients: this.clients.length,
      expected: selected.length,
      noise: () => gaussian(random),
    }));
    return { clients: selected.length, bytes };
  }

  async judge(): Promise<Evaluation> {
    return await evaluateOn(
      this.trainer.networkWith(this.parameters, JUDGED_AT_ONCE),
      this.dataset,
      this.options.test,
      this.options.local.normalization,
    );
  }

  result(): Pick<Simulation, "network" | "parameters"> {
    return { network: this.trainer.networkWith(this.parameters, 1), parameters: this.parameters };
  }
}

/**
 * Federated learning on one machine. The same seed gives the same network, bit for bit.
 * @param clients the positions that each client holds.
 * @throws KingletError `misuse` for options that make no sense, `check-failed` where the privacy budget allows no round, what training throws.
 */
export async function simulate(network: Graph, dataset: Dataset, clients: readonly Int32Array[], options: SimulationOptions): Promise<Simulation> {
  const { rounds, share, privacy, until, signal } = options;
  if (!(share > 0 && share <= 1)) throw new KingletError("misuse", `the share of clients in a round is ${share}; it is above 0 and at most 1`);
  const simulator = new Simulator(network, dataset, clients, options);
  const reports: RoundReport[] = [];
  let evaluation: Evaluation | undefined;
  for (let round = 1; round <= rounds; round++) {
    if (signal?.aborted === true) throw new KingletError("interrupted", "the simulation was stopped");
    const epsilon = privacy === undefined ? undefined : privacySpent(privacy, realShare(share, clients.length), round);
    if (epsilon !== undefined && privacy?.budget !== undefined && epsilon > privacy.budget) break;
    const start = performance.now();
    const { clients: count, bytes } = await simulator.round(round);
    evaluation = await simulator.judge();
    const { accuracy } = evaluation;
    const best = Math.max(accuracy, reports.at(-1)?.best ?? 0);
    const seconds = (performance.now() - start) / 1000;
    const report = { round, clients: count, accuracy, best, bytes, seconds, ...(epsilon === undefined ? {} : { epsilon }) };
    reports.push(report);
    options.onRound?.(report);
    if (until !== undefined && best >= until) break;
  }
  if (evaluation === undefined)
    throw new KingletError("check-failed", "the privacy budget does not allow one round", { hint: "More noise or more clients cost less." });
  return { ...simulator.result(), reports, evaluation };
}
