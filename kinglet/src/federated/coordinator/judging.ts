import { startThread } from "../client/node-thread.ts";
import type { NodeSamples } from "../client/node-samples.ts";
import { WorkerLearner } from "../client/worker-learner.ts";
import type { Hooks } from "./hooks.ts";
import { AVERAGE, type FederatedModel } from "./model.ts";
import type { Store } from "./store.ts";

/** Samples of the coordinator's own that nobody learns from: versions are judged on them. */
export interface JudgedOn {
  readonly data: NodeSamples;
  /** By default all. */
  readonly positions?: Int32Array;
}

interface Around {
  readonly store: Store;
  readonly model: FederatedModel;
  readonly hooks: Hooks;
}

/** Judges versions beside the rounds, one at a time and in a thread: where rounds are faster, versions between are left out. */
export class Judging {
  private readonly around: Around;
  private readonly judge: WorkerLearner<NodeSamples>;
  private running: Promise<void> | undefined;
  private again = false;
  private stopped = false;

  private constructor(around: Around, judge: WorkerLearner<NodeSamples>) {
    this.around = around;
    this.judge = judge;
  }

  /** @throws KingletError `bad-input` for samples of another shape or of other classes. */
  static async open(around: Around, on: JudgedOn): Promise<Judging> {
    const { network, description } = around.model;
    const judging = new Judging(around, await WorkerLearner.open(startThread, { network, description, ...on }));
    judging.wake();
    return judging;
  }

  /** There may be a new version. */
  wake(): void {
    if (this.stopped) return;
    this.again = true;
    this.running ??= this.run();
  }

  private async run(): Promise<void> {
    while (this.again && !this.stopped) {
      this.again = false;
      await this.judgeNewest().catch((error: unknown) => {
        const message = error instanceof Error ? error.message : String(error);
        if (!this.stopped) this.around.hooks.log({ event: "not judged", level: "error", message });
      });
    }
    this.running = undefined;
  }

  private async judgeNewest(): Promise<void> {
    const { store, model, hooks } = this.around;
    const [last] = await store.judgements(1);
    if (last?.version === (await store.newestVersion())) return;
    const { model: newest, remembered } = await store.newest(AVERAGE);
    if (this.stopped) return;
    const { version } = newest;
    const accuracy = await this.judge.judge(model.weightsOf(newest, remembered));
    await store.judged(version, accuracy);
    hooks.log({ event: "judged", level: "info", version, accuracy });
  }

  /** Gives up a judgement that goes on. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.judge.close();
    await this.running;
  }
}
