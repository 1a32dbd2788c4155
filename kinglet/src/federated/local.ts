import { batchCount, batches, type Dataset, type Normalization, type Augment } from "../data/browser.ts";
import { KingletError } from "../base/index.ts";
import { type Graph, type Value, withConstants } from "../graph/index.ts";
import { withBatch } from "../passes/index.ts";
import { type SessionState, type StepOptions, type TrainingBatch, TrainingSession } from "../train/browser.ts";
import type { Strategy } from "./strategy.ts";
import type { ClientUpdate, Span } from "./update.ts";

/** How clients train. */
export interface LocalTraining extends Omit<StepOptions, "loss" | "corrected" | "averageDecay"> {
  /** Passes over a client's samples in a round. */
  readonly epochs: number;
  /** Samples of a step. */
  readonly batchSize: number;
  readonly rate: number;
  /** What `rate` is multiplied by for each version that the federation has made; 1 where it is not said. */
  readonly rateDecay?: number;
  readonly augment?: readonly Augment[];
  readonly normalization?: Normalization;
}

/** How clients train, with what the strategy adds. */
export function localTraining<L extends LocalTraining>({ local, strategy }: { readonly local: L; readonly strategy: Strategy }): L & LocalTraining {
  return strategy.proximal === undefined ? local : { ...local, proximal: strategy.proximal };
}

/** Samples in a batch where versions are judged. */
export const JUDGED_AT_ONCE = 32;

/** What a client begins a round with. */
export interface LocalStart {
  readonly parameters: Float32Array;
  /** What is added to each gradient; SCAFFOLD only. */
  readonly correction?: Float32Array;
  /** In this round (`rateAt`), instead of the training's. */
  readonly rate?: number;
  /** The place of the order of its samples: such as seed, round and client. */
  readonly seed: number;
  readonly round: number;
}

/** Told after each of a round's steps; training waits for what it promises. */
export type OnStep = (done: number, steps: number) => unknown;

/** A client's training step, loaded once for many rounds and, in a simulation, for many clients. Nothing of one round is left in the next. */
export class LocalTrainer {
  private readonly network: Graph;
  private readonly session: TrainingSession;
  private readonly initial: SessionState;
  private readonly training: LocalTraining;
  /** Names and lengths of what is learned, in the order of the network: together they are the parameters as one vector. */
  private readonly parts: readonly { readonly name: string; readonly constant: Value; readonly length: number }[];

  /**
   * @param options `corrected`: for SCAFFOLD; `memoryLimit`: most bytes for a step.
   * @throws KingletError `does-not-fit`; what `trainingStep` and compiling throw.
   */
  constructor(network: Graph, training: LocalTraining, options: { readonly corrected?: boolean; readonly memoryLimit?: number } = {}) {
    const { epochs, batchSize, rate, rateDecay = 1, augment, normalization, ...step } = training;
    if (!(Number.isInteger(epochs) && epochs >= 1)) throw new KingletError("misuse", `${epochs} local epochs are not a number of epochs`);
    if (!(rateDecay > 0 && rateDecay <= 1))
      throw new KingletError("misuse", `rates are multiplied by a number above 0 and at most 1, not by ${rateDecay}`);
    this.training = training;
    this.network = withBatch(network, batchSize);
    const { memoryLimit = Number.POSITIVE_INFINITY, ...corrected } = options;
    this.session = TrainingSession.within(memoryLimit, this.network, { ...step, ...corrected });
    this.initial = this.session.save();
    this.parts = this.session.step.trained.map(({ constant, variable: { name } }) => ({
      name,
      constant,
      length: this.initial.variables.get(name)!.length,
    }));
  }

  /** How many numbers are learned, running statistics among them. */
  get length(): number {
    return this.parts.reduce((sum, { length }) => sum + length, 0);
  }

  /** Where the running statistics of batch normalization lie among them. */
  get statistics(): readonly Span[] {
    let at = 0;
    const spans = this.parts.map(({ name, length }) => ({ name, from: at, to: (at += length) }));
    return spans.filter(({ name }) => this.session.step.statistics.has(name));
  }

  /** Bytes that a round needs. */
  get memoryBytes(): number {
    return this.session.memoryBytes;
  }

  private vector(variables: ReadonlyMap<string, Float32Array>): Float32Array {
    const all = new Float32Array(this.length);
    let at = 0;
    for (const { name, length } of this.parts) {
      all.set(variables.get(name)!, at);
      at += length;
    }
    return all;
  }

  private split(vector: Float32Array): Map<string, Float32Array> {
    if (vector.length !== this.length) throw new KingletError("bad-input", `${vector.length} parameters do not fit a network with ${this.length}`);
    let at = 0;
    return new Map(this.parts.map(({ name, length }) => [name, vector.slice(at, (at += length))]));
  }

  /** The network's own parameters. */
  initialParameters(): Float32Array {
    return this.vector(this.initial.variables);
  }

  /** The network with these parameters, for a batch of `batch`. */
  networkWith(parameters: Float32Array, batch: number): Graph {
    const contents = this.split(parameters);
    return withBatch(withConstants(this.network, new Map(this.parts.map(({ name, constant }) => [constant, contents.get(name)!]))), batch);
  }

  private begin({ parameters, correction }: LocalStart): void {
    const variables = new Map(this.initial.variables);
    for (const [name, contents] of this.split(parameters)) {
      variables.set(name, contents);
      if (variables.has(`${name}/anchor`)) variables.set(`${name}/anchor`, contents);
    }
    if (correction !== undefined)
      for (const [name, contents] of this.split(correction)) if (variables.has(`${name}/correction`)) variables.set(`${name}/correction`, contents);
    this.session.restore({ steps: 0, variables });
  }

  /**
   * Trains on a client's samples. A last batch that is not full counts as a whole step on the samples that it has.
   * @throws KingletError `check-failed` where the loss or a parameter is not a number any more.
   */
  async train(dataset: Dataset, positions: Int32Array, client: number, start: LocalStart, onStep?: OnStep): Promise<ClientUpdate> {
    const { epochs, batchSize, augment, normalization } = this.training;
    const { rate = this.training.rate } = start;
    const steps = epochs * batchCount(positions.length, { batchSize });
    let done = 0;
    this.begin(start);
    for (let epoch = 0; epoch < epochs; epoch++) {
      const options = {
        batchSize,
        seed: start.seed,
        epoch: start.round * epochs + epoch,
        oneHot: true,
        ...(augment === undefined ? {} : { augment }),
        ...(normalization === undefined ? {} : { normalization }),
      };
      for await (const batch of batches(dataset, positions, options)) {
        this.step(batch, client, rate);
        await onStep?.(++done, steps);
      }
    }
    const after = this.vector(this.session.save().variables);
    const delta = after.map((x, i) => x - start.parameters[i]!);
    if (!delta.every(Number.isFinite)) throw new KingletError("check-failed", `a parameter of client ${client} is not a number any more`);
    return { client, delta, samples: positions.length, steps };
  }

  private step({ data, targets, labels, count }: TrainingBatch, client: number, rate: number): void {
    const whole = labels.length / count;
    if (whole !== 1) for (let i = 0; i < targets!.length; i++) targets![i]! *= whole;
    const { loss } = this.session.run([data], targets!, rate);
    if (!Number.isFinite(loss)) throw new KingletError("check-failed", `the loss of client ${client} is not a number any more`);
  }
}
