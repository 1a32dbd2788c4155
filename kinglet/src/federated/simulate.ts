import { KingletError } from "../base/index.ts";
import { type Dataset, gaussian, randomAt, unit } from "../data/browser.ts";
import type { Graph } from "../graph/index.ts";
import { type Evaluation, evaluateOn } from "../train/browser.ts";
import { type ClientMemories, clientsInMemory } from "./client-memory.ts";
import { correctionOf, sentUpdate } from "./client-round.ts";
import type { Compression } from "./compression.ts";
import { LocalTrainer, type LocalTraining } from "./local.ts";
import type { Privacy } from "./privacy.ts";
import { afterMean, beginningState, checkMean, privacySpent, Round, type RoundState } from "./round.ts";
import { type SecureAggregation, type SecureMean, secureMean } from "./secure-mean.ts";
import { drawClients, selectClients } from "./selection.ts";
import type { Strategy } from "./strategy.ts";
import type { ClientUpdate } from "./update.ts";

export interface SimulationOptions {
  readonly strategy: Strategy;
  readonly local: LocalTraining;
  readonly rounds: number;
  /** Share of the clients in a round; at least one is. With privacy the probability of each to be in it. */
  readonly share: number;
  /** What clients' rate is multiplied by after each round; by default 1. */
  readonly rateDecay?: number;
  readonly seed?: number;
  readonly compression?: Compression;
  readonly privacy?: Privacy;
  /** Adds updates up so that nobody sees a single one; for means, without compression and privacy. */
  readonly secure?: SecureAggregation;
  /** Where clients remember their control variates and what compression left; by default in this process's memory. */
  readonly memories?: ClientMemories;
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
  /** With secure aggregation: the clients whose updates are in the mean, none where the round was given up, and what the protocol took. */
  readonly secure?: { readonly survivors: number; readonly seconds: number };
  readonly seconds: number;
}

export interface Simulation {
  readonly network: Graph;
  readonly parameters: Float32Array;
  readonly reports: readonly RoundReport[];
  readonly evaluation: Evaluation;
}

/** What a round gave, before anybody judges it. */
type RoundOutcome = Pick<RoundReport, "clients" | "bytes" | "secure">;

const [NOISE, DROPPING] = [0x6e6f69, 0x64726f];
const JUDGED_AT_ONCE = 32;
const FLOAT_BYTES = 4;
const UNCOMPRESSED: Compression = { kind: "none" };

/** What may contradict itself before anything is read. */
type SimulationPlan = Pick<SimulationOptions, "share" | "rateDecay" | "strategy" | "secure" | "privacy" | "compression">;

/** @throws KingletError `misuse` for options that make no sense together. */
export function checkSimulation({ share, rateDecay = 1, strategy, secure, privacy, compression = UNCOMPRESSED }: SimulationPlan): void {
  if (!(rateDecay > 0 && rateDecay <= 1))
    throw new KingletError("misuse", `rates are multiplied by a number above 0 and at most 1, not by ${rateDecay}`);
  if (!(share > 0 && share <= 1)) throw new KingletError("misuse", `the share of clients in a round is ${share}; it is above 0 and at most 1`);
  if (secure === undefined) return;
  checkMean(strategy, "secure aggregation is for");
  if (compression.kind !== "none") throw new KingletError("misuse", "masked numbers cannot be compressed: secure aggregation sends all of them");
  if (privacy !== undefined) throw new KingletError("misuse", "privacy and secure aggregation are simulated one at a time");
}

/** One process plays all clients and the coordinator: rounds of selection, local training, combination and judgement. */
class Simulator {
  private parameters: Float32Array;
  private state: RoundState;
  private readonly trainer: LocalTrainer;
  private readonly memories: ClientMemories;
  private readonly dataset: Dataset;
  private readonly clients: readonly Int32Array[];
  private readonly options: SimulationOptions;

  constructor(network: Graph, dataset: Dataset, clients: readonly Int32Array[], options: SimulationOptions) {
    const { strategy, local, memories = clientsInMemory() } = options;
    this.memories = memories;
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
    const { seed = 1, compression = UNCOMPRESSED, tamper, strategy, local, rateDecay = 1 } = this.options;
    const before = await this.memories.recall(client);
    const corrected = strategy.control === true ? { correction: correctionOf(this.state.control, before, this.trainer.length) } : {};
    const place = { seed: seed * 1_000_003 + client, round, rate: local.rate * rateDecay ** (round - 1), ...corrected };
    const trained = await this.trainer.train(this.dataset, this.clients[client]!, client, { parameters: this.parameters, ...place });
    const learned = tamper === undefined ? trained : tamper(trained, round);
    const { sent, control, memory } = sentUpdate(learned, before, { compression, ...place });
    await this.memories.keep(client, memory);
    const update = { ...learned, delta: sent.update, ...(control === undefined ? {} : { control }) };
    return { update, bytes: sent.bytes.length + FLOAT_BYTES * (control?.length ?? 0) };
  }

  async round(round: number): Promise<RoundOutcome> {
    const { seed = 1, share, privacy, secure } = this.options;
    const selected = (privacy === undefined ? selectClients : drawClients)(this.clients.length, share, seed, round);
    if (secure !== undefined) return await this.secureRound(selected, round, secure);
    const random = randomAt(NOISE, seed, round);
    const combining = new Round(this.options, this.parameters, this.state, {
      clients: this.clients.length,
      expected: share * this.clients.length,
      noise: () => gaussian(random),
    });
    let bytes = 0;
    for (const client of selected) {
      const { update, bytes: sent } = await this.update(client, round);
      combining.add(update);
      bytes += sent;
    }
    ({ parameters: this.parameters, state: this.state } = combining.finish());
    return { clients: selected.length, bytes };
  }

  private async secureRound(selected: readonly number[], round: number, secure: SecureAggregation): Promise<RoundOutcome> {
    const updates: ClientUpdate[] = [];
    for (const client of selected) updates.push((await this.update(client, round)).update);
    const dropping = randomAt(DROPPING, this.options.seed ?? 1, round);
    const about = { round, mostSamples: this.clients.reduce((most, { length }) => Math.max(most, length), 0), random: () => unit(dropping) };
    const { delta, bytes, survivors, seconds }: SecureMean = await secureMean(updates, secure, about);
    if (delta !== undefined)
      ({ parameters: this.parameters, state: this.state } = afterMean(this.options.strategy, this.parameters, delta, this.state));
    return { clients: selected.length, bytes, secure: { survivors, seconds } };
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
  checkSimulation(options);
  const simulator = new Simulator(network, dataset, clients, options);
  const reports: RoundReport[] = [];
  let evaluation: Evaluation | undefined;
  for (let round = 1; round <= rounds; round++) {
    if (signal?.aborted === true) throw new KingletError("interrupted", "the simulation was stopped");
    const epsilon = privacy === undefined ? undefined : privacySpent(privacy, share, round);
    if (epsilon !== undefined && privacy?.budget !== undefined && epsilon > privacy.budget) break;
    const start = performance.now();
    const outcome = await simulator.round(round);
    evaluation = await simulator.judge();
    const { accuracy } = evaluation;
    const best = Math.max(accuracy, reports.at(-1)?.best ?? 0);
    const seconds = (performance.now() - start) / 1000;
    const report = { round, ...outcome, accuracy, best, seconds, ...(epsilon === undefined ? {} : { epsilon }) };
    reports.push(report);
    options.onRound?.(report);
    if (until !== undefined && best >= until) break;
  }
  if (evaluation === undefined)
    throw new KingletError("check-failed", "the privacy budget does not allow one round", { hint: "More noise or more clients cost less." });
  return { ...simulator.result(), reports, evaluation };
}
