import { writeKinglet } from "../formats/index.ts";
import type { NodeSamples } from "./client/node-samples.ts";
import { startThread } from "./client/node-thread.ts";
import { WorkerLearner } from "./client/worker-learner.ts";
import { localTraining } from "./local.ts";
import type { SimulationTask } from "./queue/index.ts";
import { type ClientOrder, type ClientTraining, trainAhead } from "./simulate.ts";
import type { ClientUpdate } from "./update.ts";

type Thread = WorkerLearner<NodeSamples>;

/** Trains clients in threads of this machine, as many at once as there are threads; each has a training step of its own. */
export class ThreadClients implements ClientTraining {
  private readonly threads: readonly Thread[];
  private readonly idle: Thread[];
  private readonly wanted: ((thread: Thread) => void)[] = [];
  private readonly signal: AbortSignal | undefined;

  private constructor(threads: readonly Thread[], signal: AbortSignal | undefined) {
    this.threads = threads;
    this.idle = [...threads];
    this.signal = signal;
  }

  /**
   * @param data the simulation's samples: each thread opens them by itself.
   * @param signal gives training up.
   * @throws KingletError what `WorkerLearner.open` throws.
   */
  static async open(
    { network, plan }: Pick<SimulationTask, "network" | "plan">,
    classes: readonly string[],
    data: NodeSamples,
    count: number,
    signal?: AbortSignal,
  ): Promise<ThreadClients> {
    const { augmentation, strategy } = plan;
    const description = { local: localTraining(plan), augmentation, control: strategy.control === true, classes: [...classes] };
    const order = { network: writeKinglet(network), description, data };
    const opening = await Promise.allSettled(Array.from({ length: count }, () => WorkerLearner.open(startThread, order)));
    const threads = opening.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    const failed = opening.find((each) => each.status === "rejected");
    if (failed === undefined) return new ThreadClients(threads, signal);
    await Promise.all(threads.map((thread) => thread.close()));
    throw failed.reason;
  }

  private async learned({ client, positions, start }: ClientOrder): Promise<ClientUpdate> {
    const thread = this.idle.pop() ?? (await new Promise<Thread>((done) => this.wanted.push(done)));
    try {
      return { client, ...(await thread.train(start, this.signal, positions)) };
    } finally {
      const next = this.wanted.shift();
      if (next === undefined) this.idle.push(thread);
      else next(thread);
    }
  }

  train<O extends ClientOrder>(orders: AsyncIterable<O>): AsyncIterable<readonly [O, ClientUpdate | null]> {
    // The next one waits while the first is taken.
    return trainAhead(orders, this.threads.length + 1, (order) => this.learned(order));
  }

  async close(): Promise<void> {
    await Promise.all(this.threads.map((thread) => thread.close()));
  }
}
