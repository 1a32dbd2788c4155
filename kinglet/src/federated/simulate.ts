import { KingletError } from "../base/index.ts";
import { type Dataset, gaussian, randomAt, unit } from "../data/browser.ts";
import type { Graph } from "../graph/index.ts";
import { type Evaluation, evaluateOn } from "../train/browser.ts";
import { type ClientMemories, clientsInMemory } from "./client-memory.ts";
import { type ClientMemory, correctionOf, rateAt, type Sending, sentUpdate } from "./client-round.ts";
import { checkEnough } from "./combine.ts";
import type { Compression } from "./compression.ts";
import { JUDGED_AT_ONCE, LocalTrainer, type LocalStart, localTraining, type LocalTraining, type OnStep } from "./local.ts";
import type { Privacy } from "./privacy.ts";
import { afterMean, beginningState, checkSecure, federatedWeights, privacySpent, Round, type RoundState } from "./round.ts";
import { MOST_CLIENTS } from "./secure/index.ts";
import { type SecureAggregation, type SecureMean, secureMean } from "./secure-mean.ts";
import { drawClients, selectClients } from "./selection.ts";
import type { Strategy } from "./strategy.ts";
import type { ClientUpdate } from "./update.ts";

/** What a client is asked for in a round. */
export interface ClientOrder {
  readonly client: number;
  /** Of its samples. */
  readonly positions: Int32Array;
  readonly start: LocalStart;
}

/** What a client learned; null where its training ended in what are no numbers. @throws what else training throws. */
export async function learnedOrNull(learning: Promise<ClientUpdate>): Promise<ClientUpdate | null> {
  return await learning.catch((error: unknown) => {
    if (!(error instanceof KingletError && error.code === "check-failed")) throw error;
    return null;
  });
}

/** Whoever trains the clients of a simulation. */
export interface ClientTraining {
  /**
   * What each client learned, in the orders' order; null where that are no numbers (`learnedOrNull`). Orders may be taken ahead of that; those of a
   * round have the same parameters, as one object.
   * @throws KingletError what else training throws, `interrupted` once given up.
   */
  train<O extends ClientOrder>(orders: AsyncIterable<O>): AsyncIterable<readonly [O, ClientUpdate | null]>;
}

/** Trains clients ahead of whoever takes what they learned, in the orders' order; at most so many are on their way at once. */
export async function* trainAhead<O extends ClientOrder>(
  orders: AsyncIterable<O>,
  most: number,
  train: (order: O) => Promise<ClientUpdate>,
): AsyncGenerator<readonly [O, ClientUpdate | null]> {
  const asked: { readonly order: O; readonly learned: Promise<ClientUpdate | null> }[] = [];
  const first = async (): Promise<readonly [O, ClientUpdate | null]> => {
    const { order, learned } = asked.shift()!;
    return [order, await learned];
  };
  for await (const order of orders) {
    const learned = learnedOrNull(train(order));
    // Awaited in its turn; a failure of an earlier one may come first.
    learned.catch(() => {});
    asked.push({ order, learned });
    if (asked.length === most) yield await first();
  }
  while (asked.length > 0) yield await first();
}

export interface SimulationOptions {
  readonly strategy: Strategy;
  readonly local: LocalTraining;
  readonly rounds: number;
  /** Share of the clients in a round; at least one is. With privacy the probability of each to be in it. */
  readonly share: number;
  readonly seed?: number;
  readonly compression?: Compression;
  readonly privacy?: Privacy;
  /** Adds updates up so that nobody sees a single one; for means, without compression and privacy. */
  readonly secure?: SecureAggregation;
  /** Where clients remember their control variates and what compression left; by default in this process's memory. */
  readonly memories?: ClientMemories;
  /** Who trains clients; by default this process. */
  readonly training?: ClientTraining;
  /** Told after each step that this process takes for a client. */
  readonly onStep?: OnStep;
  /** What clients do to their updates before they send them: for trying attacks. */
  readonly tamper?: (update: ClientUpdate, round: number) => ClientUpdate;
  /** Samples that the network is judged on: the last version, or the strategy's average of versions. */
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
  /** Of them those that sent nothing, since their loss was not a number any more. */
  readonly dropped: number;
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

/** An order, with what its client remembers and how it will send its update. */
interface Asked extends ClientOrder {
  readonly before: ClientMemory;
  readonly sending: Sending;
}

/** What a round gave, before anybody judges it. */
type RoundOutcome = Pick<RoundReport, "clients" | "dropped" | "bytes" | "secure">;

const [NOISE, DROPPING] = [0x6e6f69, 0x64726f];
const FLOAT_BYTES = 4;
const UNCOMPRESSED: Compression = { kind: "none" };

/** What may contradict itself before anything is read. */
type CheckedOptions = Pick<SimulationOptions, "share" | "strategy" | "secure" | "privacy" | "compression">;

/** @throws KingletError `misuse` for options that make no sense together. */
export function checkSimulation(options: CheckedOptions): void {
  const { share, secure, compression = UNCOMPRESSED } = options;
  if (!(share > 0 && share <= 1)) throw new KingletError("misuse", `the share of clients in a round is ${share}; it is above 0 and at most 1`);
  if (secure !== undefined) checkSecure(options, compression);
}

/** @throws KingletError `misuse` where rounds have too few clients for what is to be done with their updates, or too many. */
function checkRoundSize({ strategy, share, seed = 1, privacy, secure }: SimulationOptions, clients: number): void {
  // Each comes by itself: nobody knows how many there will be.
  if (privacy !== undefined) return;
  const { length: count } = selectClients(clients, share, seed, 1);
  checkEnough(strategy.combination, count);
  if (secure !== undefined && (count < 2 || count > MOST_CLIENTS))
    throw new KingletError("misuse", `secure aggregation adds up 2 to ${MOST_CLIENTS} clients in a round, and there are ${count}`, {
      hint: "Another share of the clients, or another number of them, gives other rounds.",
    });
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
    const { strategy, memories = clientsInMemory() } = options;
    this.memories = memories;
    this.state = beginningState(options);
    this.dataset = dataset;
    this.clients = clients;
    this.options = options;
    this.trainer = new LocalTrainer(network, localTraining(options), { corrected: strategy.control === true });
    this.parameters = this.trainer.initialParameters();
  }

  private async *orders(selected: readonly number[], round: number): AsyncGenerator<Asked> {
    const { seed = 1, compression = UNCOMPRESSED, strategy, local } = this.options;
    const rate = rateAt(local, this.state.version);
    for (const client of selected) {
      const before = await this.memories.recall(client);
      const corrected = strategy.control === true ? { correction: correctionOf(this.state.control, before, this.trainer.length) } : {};
      const place = { seed: seed * 1_000_003 + client, round, rate, ...corrected };
      const start = { parameters: this.parameters, ...place };
      yield { client, positions: this.clients[client]!, start, before, sending: { compression, ...place } };
    }
  }

  private async *trainHere<O extends ClientOrder>(orders: AsyncIterable<O>): AsyncGenerator<readonly [O, ClientUpdate | null]> {
    for await (const order of orders) {
      const { positions, client, start } = order;
      yield [order, await learnedOrNull(this.trainer.train(this.dataset, positions, client, start, this.options.onStep))];
    }
  }

  /**
   * What the coordinator gets of a round's clients, in their order, and how many of them dropped out: as before a coordinator, a client whose
   * training ends in what are no numbers sends nothing.
   * @throws KingletError `check-failed` where all did.
   */
  private async updates(selected: readonly number[], round: number, take: (update: ClientUpdate, bytes: number) => void): Promise<number> {
    const { tamper, training } = this.options;
    const orders = this.orders(selected, round);
    let dropped = 0;
    for await (const [{ client, before, sending }, trained] of training?.train(orders) ?? this.trainHere(orders)) {
      if (trained === null) {
        dropped++;
        continue;
      }
      const learned = tamper === undefined ? trained : tamper(trained, round);
      const { sent, control, memory } = sentUpdate(learned, before, sending);
      await this.memories.keep(client, memory);
      take(
        { ...learned, delta: sent.update, ...(control === undefined ? {} : { control }) },
        sent.bytes.length + FLOAT_BYTES * (control?.length ?? 0),
      );
    }
    if (dropped > 0 && dropped === selected.length)
      throw new KingletError("check-failed", `no client of round ${round} could learn: their losses are not numbers any more`, {
        hint: "A lower rate, or a rule that withstands bad updates, may help.",
      });
    return dropped;
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
      statistics: this.trainer.statistics,
    });
    let bytes = 0;
    const dropped = await this.updates(selected, round, (update, sent) => {
      combining.add(update);
      bytes += sent;
    });
    ({ parameters: this.parameters, state: this.state } = combining.finish());
    return { clients: selected.length, dropped, bytes };
  }

  private async secureRound(selected: readonly number[], round: number, secure: SecureAggregation): Promise<RoundOutcome> {
    const updates: ClientUpdate[] = [];
    const dropped = await this.updates(selected, round, (update) => updates.push(update));
    // Nobody hides a single update.
    if (updates.length < 2) return { clients: selected.length, dropped, bytes: 0, secure: { survivors: 0, seconds: 0 } };
    const dropping = randomAt(DROPPING, this.options.seed ?? 1, round);
    const about = { round, mostSamples: this.clients.reduce((most, { length }) => Math.max(most, length), 0), random: () => unit(dropping) };
    const { delta, bytes, survivors, seconds }: SecureMean = await secureMean(updates, secure, about);
    const { strategy } = this.options;
    if (delta !== undefined)
      ({ parameters: this.parameters, state: this.state } = afterMean(strategy, this.parameters, delta, this.state, this.trainer.statistics));
    return { clients: selected.length, dropped, bytes, secure: { survivors, seconds } };
  }

  private weights(): Float32Array {
    const { parameters, state } = this;
    return federatedWeights({ parameters, state });
  }

  async judge(): Promise<Evaluation> {
    return await evaluateOn(
      this.trainer.networkWith(this.weights(), JUDGED_AT_ONCE),
      this.dataset,
      this.options.test,
      this.options.local.normalization,
    );
  }

  result(): Pick<Simulation, "network" | "parameters"> {
    const parameters = this.weights();
    return { network: this.trainer.networkWith(parameters, 1), parameters };
  }
}

/**
 * Federated learning on one machine, or on those that `training` reaches. The same seed gives the same network, bit for bit.
 * @param clients the positions that each client holds.
 * @throws KingletError `misuse` for options that make no sense, `check-failed` where the privacy budget allows no round, what training throws.
 */
export async function simulate(network: Graph, dataset: Dataset, clients: readonly Int32Array[], options: SimulationOptions): Promise<Simulation> {
  const { rounds, share, privacy, until, signal } = options;
  checkSimulation(options);
  checkRoundSize(options, clients.length);
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
