import { type FileHandle, open, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { elementCount, KingletError } from "../base/index.ts";
import { type DatasetInfo, INDEX_FILE, MANIFEST_FILE, parseManifest, sampleBytes } from "./manifest.ts";
import { newArray, type SampleArray } from "./readers/index.ts";
import { decodeIndex, emptyIndex, INDEX_BYTES, type SampleIndex } from "./sample-index.ts";

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

  /** Closes the files. Nothing is read after this. */
  async close(): Promise<void> {
    await this.store.close();
  }
}

/** Open files at once; more would meet the system's limit. */
const MOST_HANDLES = 32;

/** Reads from the shards of a folder: all of them kept in memory where they are small, else piece by piece. */
class FolderStore implements SampleStore {
  private readonly folder: string;
  private readonly info: DatasetInfo;
  private readonly size: number;
  private readonly keep: boolean;
  private readonly handles = new Map<number, Promise<FileHandle>>();
  private readonly whole = new Map<number, Promise<Uint8Array>>();

  constructor(folder: string, info: DatasetInfo, cacheBytes: number) {
    this.folder = folder;
    this.info = info;
    this.size = sampleBytes(info);
    this.keep = info.samples * this.size <= cacheBytes;
  }

  async read(first: number, count: number, into: Uint8Array): Promise<void> {
    const per = this.info.samplesPerShard;
    for (let done = 0; done < count; ) {
      const [shard, at] = [Math.floor((first + done) / per), (first + done) % per];
      const here = Math.min(count - done, per - at);
      await this.readShard(shard, at * this.size, into.subarray(done * this.size, (done + here) * this.size));
      done += here;
    }
  }

  private async readShard(shard: number, offset: number, into: Uint8Array): Promise<void> {
    if (this.keep) into.set((await this.wholeShard(shard)).subarray(offset, offset + into.length));
    else await this.readPiece(await this.handle(shard), shard, offset, into);
  }

  private path(shard: number): string {
    return join(this.folder, this.info.shards[shard]!.file);
  }

  private cut(shard: number): never {
    throw new KingletError("bad-file", "the file is shorter than the data set's manifest says", {
      place: this.path(shard),
      hint: "Import the data again.",
    });
  }

  private async readPiece(handle: FileHandle, shard: number, offset: number, into: Uint8Array): Promise<void> {
    for (let at = 0; at < into.length; ) {
      const { bytesRead } = await handle.read(into, at, into.length - at, offset + at);
      if (bytesRead === 0) this.cut(shard);
      at += bytesRead;
    }
  }

  private wholeShard(shard: number): Promise<Uint8Array> {
    const known = this.whole.get(shard);
    if (known !== undefined) return known;
    const load = readFile(this.path(shard)).then((bytes) => (bytes.length === this.info.shards[shard]!.bytes ? bytes : this.cut(shard)));
    this.whole.set(shard, load);
    return load;
  }

  private async handle(shard: number): Promise<FileHandle> {
    const known = this.handles.get(shard);
    if (known !== undefined) return await known;
    if (this.handles.size >= MOST_HANDLES) await this.closeOldest();
    const opening = open(this.path(shard), "r");
    this.handles.set(shard, opening);
    return await opening;
  }

  private async closeOldest(): Promise<void> {
    const oldest = this.handles.entries().next();
    if (oldest.done === true) return;
    const [shard, handle] = oldest.value;
    this.handles.delete(shard);
    await (await handle).close();
  }

  async close(): Promise<void> {
    const handles = [...this.handles.values()];
    this.handles.clear();
    this.whole.clear();
    await Promise.all(handles.map(async (handle) => await (await handle).close()));
  }
}

/** Data sets up to this size are kept in memory once read. */
const CACHE_BYTES = 128 * 2 ** 20;

export interface OpenOptions {
  /** Data sets up to this many bytes are kept in memory; larger ones are read from disk each time. Default 128 MiB. */
  readonly cacheBytes?: number;
}

async function readText(path: string, folder: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== "ENOENT" && code !== "ENOTDIR") throw error;
    throw new KingletError("bad-input", "there is no data set here", { place: folder, hint: "Make one with kinglet data import." });
  }
}

/**
 * Opens a data set that `importData` wrote.
 * @throws KingletError `bad-input` where there is none, `bad-file` where it is damaged.
 */
export async function openDataset(folder: string, options: OpenOptions = {}): Promise<Dataset> {
  const manifest = join(folder, MANIFEST_FILE);
  const info = parseManifest(await readText(manifest, folder), manifest, INDEX_BYTES);
  for (const { file, bytes } of [...info.shards, info.index]) {
    const size = await stat(join(folder, file)).then(
      (found) => found.size,
      () => -1,
    );
    if (size !== bytes)
      throw new KingletError("bad-file", size < 0 ? "the file is missing" : `the file has ${size} bytes and the manifest says ${bytes}`, {
        place: join(folder, file),
        hint: "Import the data again with kinglet data import.",
      });
  }
  const indexPath = join(folder, INDEX_FILE);
  const limits = { samples: info.samples, classes: info.classes.length, groups: info.groups.length, sources: info.sources.length };
  const index = decodeIndex(await readFile(indexPath), limits, indexPath);
  return new Dataset(info, index, new FolderStore(folder, info, options.cacheBytes ?? CACHE_BYTES));
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
