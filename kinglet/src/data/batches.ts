import { elementCount, KingletError, type Shape } from "../base/index.ts";
import type { Augment } from "./augment/augment.ts";
import type { Dataset } from "./dataset.ts";
import { type Normalization, normalize } from "./normalize.ts";
import { randomAt, shuffle } from "./seed.ts";

export interface BatchOptions {
  readonly batchSize: number;
  /** Default 1. The order and all augmentation follow from seed, epoch and position alone. */
  readonly seed?: number;
  /** Default 0. */
  readonly epoch?: number;
  /** Default true; false keeps the given order. */
  readonly shuffle?: boolean;
  /** What becomes of a last batch that is not full: filled up with samples of weight 0 (default), or left out. */
  readonly last?: "pad" | "drop";
  /** Also give targets as one-hot rows. Default false. */
  readonly oneHot?: boolean;
  readonly augment?: readonly Augment[];
  /** Comes after the augmentation. */
  readonly normalization?: Normalization;
}

/** Samples to train on, in units of the full scale: sound in [-1, 1), pictures in [0, 1], other numbers as they are. */
export interface Batch {
  /** `[batchSize, ...shape]`; zeros where a sample has weight 0. */
  readonly data: Float32Array;
  readonly shape: Shape;
  /** Class of each sample; 0 where it has weight 0. */
  readonly labels: Int32Array;
  /** `[batchSize, classes]`, or null unless asked for. */
  readonly targets: Float32Array | null;
  /** 1 for samples, 0 for the filling of the last batch. */
  readonly weights: Float32Array;
  /** Position of each sample in the data set, -1 for filling. */
  readonly positions: Int32Array;
  /** Samples with weight 1. */
  readonly count: number;
}

/** Marks the streams of order and of augmentation, so that they never share numbers. */
const [ORDER, CHANGE] = [1, 2];

/** The order of an epoch: the same for a seed on every platform. */
export function epochOrder(positions: Int32Array, seed: number, epoch: number): Int32Array {
  return shuffle(positions.slice(), randomAt(ORDER, seed, epoch));
}

function augmented(sample: Float32Array, shape: Shape, augment: readonly Augment[], place: readonly number[]): Float32Array {
  const random = randomAt(CHANGE, ...place);
  return augment.reduce((values, change) => change(values, shape, random), sample);
}

function fill(batch: Batch, raw: ArrayLike<number>, dataset: Dataset, options: BatchOptions): void {
  const { shape, fullScale } = dataset.info;
  const { seed = 1, epoch = 0, augment = [], normalization } = options;
  const size = elementCount(shape);
  const classes = dataset.info.classes.length;
  for (let i = 0; i < batch.count; i++) {
    const row = batch.data.subarray(i * size, (i + 1) * size);
    for (let k = 0; k < size; k++) row[k] = raw[i * size + k]! / fullScale;
    const position = batch.positions[i]!;
    if (augment.length > 0) row.set(augmented(row.slice(), shape, augment, [seed, epoch, position]));
    batch.labels[i] = dataset.index.labels[position]!;
    batch.weights[i] = 1;
    if (batch.targets !== null) batch.targets[i * classes + batch.labels[i]!] = 1;
  }
  if (normalization !== undefined) normalize(batch.data.subarray(0, batch.count * size), shape.at(-1)!, normalization);
}

/** How many batches an epoch of `samples` has. */
export function batchCount(samples: number, options: Pick<BatchOptions, "batchSize" | "last">): number {
  const whole = samples / options.batchSize;
  return options.last === "drop" ? Math.floor(whole) : Math.ceil(whole);
}

/**
 * The batches of one epoch over some samples. Only one batch is in memory at a time; each is made of fresh arrays.
 * @throws KingletError `misuse` for a batch size below 1, or what reading the data set throws.
 */
export async function* batches(dataset: Dataset, positions: Int32Array, options: BatchOptions): AsyncGenerator<Batch> {
  const { batchSize, seed = 1, epoch = 0 } = options;
  if (!(Number.isInteger(batchSize) && batchSize >= 1)) throw new KingletError("misuse", "a batch has one sample at least");
  const order = options.shuffle === false ? positions : epochOrder(positions, seed, epoch);
  const { shape, classes } = dataset.info;
  for (let b = 0; b < batchCount(order.length, options); b++) {
    const own = order.subarray(b * batchSize, (b + 1) * batchSize);
    const raw = await dataset.read(own);
    const padded = new Int32Array(batchSize).fill(-1);
    padded.set(own);
    const batch: Batch = {
      data: new Float32Array(batchSize * elementCount(shape)),
      shape: [batchSize, ...shape],
      labels: new Int32Array(batchSize),
      targets: options.oneHot === true ? new Float32Array(batchSize * classes.length) : null,
      weights: new Float32Array(batchSize),
      positions: padded,
      count: own.length,
    };
    fill(batch, raw, dataset, options);
    yield batch;
  }
}
