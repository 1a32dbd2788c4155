import { elementCount, KingletError } from "../base/index.ts";
import { type DatasetInfo, INDEX_FILE, sampleBytes } from "./manifest.ts";
import { newArray, type SampleArray } from "./readers/index.ts";
import { emptyIndex, type SampleIndex } from "./sample-index.ts";

/** Where the bytes of samples come from. */
export interface SampleStore {
  /** Copies `count` samples from the `first` on into `into`. */
  read(first: number, count: number, into: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** Samples of one shape with their labels. The samples stay where they are; only what is read is in memory. */
export class Dataset {
  readonly info: DatasetInfo;
  readonly index: SampleIndex;
  private readonly store: SampleStore;

  constructor(info: DatasetInfo, index: SampleIndex, store: SampleStore) {
    this.info = info;
    this.index = index;
    this.store = store;
  }

  get length(): number {
    return this.info.samples;
  }

  /**
   * The samples at these positions, one after the other, as `[positions, ...shape]` in the stored type.
   * @throws KingletError `misuse` for a position outside the data set, `bad-file` where a file was cut.
   */
  async read(positions: ArrayLike<number>): Promise<SampleArray> {
    const { dtype, shape } = this.info;
    const size = sampleBytes(this.info);
    const out = newArray(dtype, positions.length * elementCount(shape));
    const bytes = new Uint8Array(out.buffer);
    for (let i = 0; i < positions.length; ) {
      const first = positions[i]!;
      let count = 1;
      // Neighbours are read at once.
      while (i + count < positions.length && positions[i + count] === first + count) count++;
      if (!(Number.isInteger(first) && first >= 0 && first + count <= this.length))
        throw new KingletError("misuse", `there is no sample ${first + count - 1}: the data set has ${this.length}`);
      await this.store.read(first, count, bytes.subarray(i * size, (i + count) * size));
      i += count;
    }
    return out;
  }

  /**
   * The same samples, with their classes numbered as in `classes`, where there may be more.
   * @throws KingletError `bad-input` where one of its own is not among them.
   */
  withClasses(classes: readonly string[]): Dataset {
    const places = this.info.classes.map((name) => classes.indexOf(name));
    const strange = this.info.classes.filter((_, i) => places[i]! < 0);
    if (strange.length > 0)
      throw new KingletError("bad-input", `${strange.map((name) => `"${name}"`).join(", ")} is not among the classes ${classes.join(", ")}`);
    return new Dataset({ ...this.info, classes }, { ...this.index, labels: this.index.labels.map((label) => places[label]!) }, this.store);
  }

  /** Closes the files. Nothing is read after this. */
  async close(): Promise<void> {
    await this.store.close();
  }
}

/** Samples that a program already has, as a data set. */
export interface SamplesInMemory {
  /** `[samples, ...shape]`. */
  readonly data: SampleArray;
  /** `[length, channels]` or `[h, w, c]`. */
  readonly shape: readonly number[];
  readonly labels: ArrayLike<number>;
  readonly classes: readonly string[];
  /** Names of groups, and each sample's position among them or -1. */
  readonly groupNames?: readonly string[];
  readonly groups?: ArrayLike<number>;
  /** 0 training, 1 test, -1 not said. */
  readonly parts?: ArrayLike<number>;
  readonly fullScale?: number;
}

function dtypeOf(data: SampleArray): DatasetInfo["dtype"] {
  const name = data.constructor.name.replace("Array", "").toLowerCase();
  return name as DatasetInfo["dtype"];
}

/** Makes a data set of samples in memory. @throws KingletError `misuse` where the sizes contradict each other. */
export function datasetFromArrays(given: SamplesInMemory): Dataset {
  const size = elementCount(given.shape);
  const samples = given.labels.length;
  if (size < 1 || given.data.length !== samples * size)
    throw new KingletError("misuse", `${given.data.length} numbers are not ${samples} samples of ${given.shape.join("×")}`);
  const index = emptyIndex(samples);
  index.labels.set(given.labels);
  index.groups.set(given.groups ?? new Int32Array(samples).fill(-1));
  index.parts.set(given.parts ?? new Int32Array(samples).fill(-1));
  index.recordings.forEach((_, i) => (index.recordings[i] = i));
  if (index.labels.some((label) => label < 0 || label >= given.classes.length)) throw new KingletError("misuse", "a label names no class");
  const info: DatasetInfo = {
    shape: given.shape,
    dtype: dtypeOf(given.data),
    fullScale: given.fullScale ?? 1,
    rateHz: null,
    channels: null,
    classes: given.classes,
    groups: given.groupNames ?? [],
    samples,
    recordings: samples,
    padded: 0,
    ranges: null,
    options: {},
    sources: [{ name: "memory", bytes: given.data.byteLength, sha256: "", samples }],
    skipped: [],
    samplesPerShard: Math.max(1, samples),
    shards: [],
    index: { file: INDEX_FILE, bytes: 0, sha256: "" },
  };
  return new Dataset(info, index, new MemoryStore(given.data, sampleBytes(info)));
}

/** The same labels, groups and parts with other samples, `[samples, ...shape]`, which are kept in memory. */
export function withSamples(dataset: Dataset, shape: readonly number[], data: Float32Array): Dataset {
  const signal = { rateHz: null, channels: null, ranges: null };
  const info: DatasetInfo = { ...dataset.info, ...signal, shape, dtype: "float32", fullScale: 1, shards: [] };
  if (data.length !== dataset.length * elementCount(shape))
    throw new KingletError("misuse", `${data.length} numbers are not ${dataset.length} samples of ${shape.join("×")}`);
  return new Dataset(info, dataset.index, new MemoryStore(data, sampleBytes(info)));
}

class MemoryStore implements SampleStore {
  private readonly bytes: Uint8Array;
  private readonly size: number;

  constructor(data: SampleArray, size: number) {
    this.bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.size = size;
  }

  async read(first: number, count: number, into: Uint8Array): Promise<void> {
    into.set(this.bytes.subarray(first * this.size, (first + count) * this.size));
  }

  async close(): Promise<void> {}
}
