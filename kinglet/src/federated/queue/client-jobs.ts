import { bytesOf, fromBytes } from "../../base/index.ts";
import { augmentsOf, type Dataset } from "../../data/index.ts";
import { readKinglet, writeKinglet } from "../../formats/index.ts";
import { LocalTrainer, type LocalStart, localTraining, type OnStep } from "../local.ts";
import { type ClientOrder, type ClientTraining, trainAhead } from "../simulate.ts";
import type { ClientUpdate } from "../update.ts";
import type { JobQueue } from "./job-queue.ts";
import type { Packed } from "./packed.ts";
import type { SimulationPlan, SimulationTask } from "./task.ts";

/** How the clients of a run train; what the strategy adds is in `local`. */
export interface ClientsHeader extends Pick<SimulationPlan, "local" | "augmentation"> {
  /** Whether gradients are corrected (SCAFFOLD). */
  readonly corrected: boolean;
}

type OrderHeader = Pick<ClientOrder, "client"> & Omit<LocalStart, "parameters" | "correction">;
type LearnedHeader = Pick<ClientUpdate, "samples" | "steps">;

/** Clients that are on their way at once: as many inputs and outputs lie in Redis at most. */
const AHEAD = 32;

const floats = (bytes: Uint8Array): Float32Array => fromBytes("float32", bytes) as Float32Array;

/** What the jobs of a simulation's clients have in common. */
export function packClients({ network, plan }: Pick<SimulationTask, "network" | "plan">): Packed<ClientsHeader> {
  const { augmentation, strategy } = plan;
  return { header: { local: localTraining(plan), augmentation, corrected: strategy.control === true }, parts: [writeKinglet(network)] };
}

/** Trains clients through a queue, one job for each. Workers are told no more than the step needs: memories stay here. */
export class QueuedClients implements ClientTraining {
  private readonly queue: JobQueue;

  constructor(queue: JobQueue) {
    this.queue = queue;
  }

  private async learned({ client, positions, start }: ClientOrder, shared: string): Promise<ClientUpdate> {
    const { seed, round, rate, correction } = start;
    const header: OrderHeader = { client, seed, round, ...(rate === undefined ? {} : { rate }) };
    const parts = [bytesOf(positions), ...(correction === undefined ? [] : [bytesOf(correction)])];
    const answer = await this.queue.submit<LearnedHeader>("client", `${round}-${client}`, { header, parts }, shared);
    return { client, delta: floats(answer.parts[0]!), ...answer.header };
  }

  /** All of one round: its parameters lie in Redis once. */
  async *train<O extends ClientOrder>(orders: AsyncIterable<O>): AsyncGenerator<readonly [O, ClientUpdate | null]> {
    let shared: { readonly name: string; readonly there: Promise<void> } | undefined;
    const share = ({ round, parameters }: LocalStart): NonNullable<typeof shared> => {
      const name = `round-${round}`;
      return { name, there: this.queue.share(name, bytesOf(parameters)) };
    };
    try {
      yield* trainAhead(orders, AHEAD, async (order) => {
        shared ??= share(order.start);
        await shared.there;
        return await this.learned(order, shared.name);
      });
    } finally {
      if (shared !== undefined) await this.queue.unshare(shared.name);
    }
  }
}

/** A worker's side of a run: its step is compiled once, and a round's parameters are read once. */
export class ClientsWorker {
  private readonly trainer: LocalTrainer;
  private readonly dataset: Dataset;
  private shared = "";
  private parameters: Float32Array = new Float32Array();

  constructor({ header: { local, augmentation, corrected }, parts }: Packed<ClientsHeader>, dataset: Dataset) {
    this.dataset = dataset;
    this.trainer = new LocalTrainer(readKinglet(parts[0]!, "the run's network"), { ...local, augment: augmentsOf(augmentation) }, { corrected });
  }

  /** @param read gives what jobs share; null where it is there no more. */
  async work(
    { header, parts }: Packed<unknown>,
    shared: string,
    read: () => Promise<Uint8Array | null>,
    onStep: OnStep,
  ): Promise<Packed<LearnedHeader> | null> {
    if (this.shared !== shared) {
      const bytes = await read();
      if (bytes === null) return null;
      this.parameters = floats(bytes);
      this.shared = shared;
    }
    const { client, ...place } = header as OrderHeader;
    const start: LocalStart = { parameters: this.parameters, ...place, ...(parts[1] === undefined ? {} : { correction: floats(parts[1]) }) };
    const { delta, samples, steps } = await this.trainer.train(this.dataset, fromBytes("int32", parts[0]!) as Int32Array, client, start, onStep);
    return { header: { samples, steps }, parts: [bytesOf(delta)] };
  }
}
