import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bytesOf } from "../base/index.ts";
import type { Classes } from "./classes.ts";
import { cut, type Layout, samplesOf } from "./layout.ts";
import { type DatasetInfo, INDEX_FILE, MANIFEST_FILE, manifestText, sampleBytes, shardName, type SourceInfo, type StoredFile } from "./manifest.ts";
import { RangeMeter } from "./ranges.ts";
import type { SampleArray } from "./readers/index.ts";
import { encodeEntry, INDEX_BYTES } from "./sample-index.ts";
import { BufferedFile, type Kept, type Scratch } from "./scratch.ts";

/** Small enough to hold one, large enough that a million samples are few files. */
const SHARD_BYTES = 16 * 2 ** 20;
const MOST_RANGES = 16;
const PARTS = { train: 0, test: 1 } as const;

/** A file that is hashed while it is written. */
class HashedFile {
  private readonly hash = createHash("sha256");
  private readonly file: BufferedFile;
  private readonly name: string;

  private constructor(file: BufferedFile, name: string) {
    this.file = file;
    this.name = name;
  }

  static async create(folder: string, name: string): Promise<HashedFile> {
    return new HashedFile(await BufferedFile.create(join(folder, name)), name);
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.hash.update(bytes);
    await this.file.write(bytes);
  }

  async finish(): Promise<StoredFile> {
    await this.file.finish();
    return { file: this.name, bytes: this.file.size, sha256: this.hash.digest("hex") };
  }

  async abandon(): Promise<void> {
    await this.file.close().catch(() => undefined);
  }
}

/** Writes samples one after the other into files of equal size. */
class ShardWriter {
  readonly shards: StoredFile[] = [];
  samples = 0;
  private readonly folder: string;
  private readonly perShard: number;
  private file: HashedFile | null = null;

  constructor(folder: string, perShard: number) {
    this.folder = folder;
    this.perShard = perShard;
  }

  async add(bytes: Uint8Array): Promise<void> {
    this.file ??= await HashedFile.create(this.folder, shardName(this.shards.length));
    await this.file.write(bytes);
    this.samples++;
    if (this.samples % this.perShard === 0) await this.finish();
  }

  async finish(): Promise<void> {
    if (this.file !== null) this.shards.push(await this.file.finish());
    this.file = null;
  }

  async abandon(): Promise<void> {
    await this.file?.abandon();
  }
}

/** 52 bits of the bytes' SHA-256: exact in a double, and enough to tell equal samples among millions. */
function hashOf(bytes: Uint8Array): number {
  return Number.parseInt(createHash("sha256").update(bytes).digest("hex").slice(0, 13), 16);
}

/** What an import found, before it is written. */
export interface Findings {
  readonly scratch: Scratch;
  readonly layout: Layout;
  readonly classes: Classes;
  readonly groups: readonly string[];
  /** Without the number of samples, which windows decide. */
  readonly sources: readonly Omit<SourceInfo, "samples">[];
  readonly skipped: DatasetInfo["skipped"];
  readonly options: DatasetInfo["options"];
  /** Called after each recording. */
  readonly onRecording: (done: number, all: number) => void;
}

/** Counts and meters of the samples written so far. */
class Tally {
  readonly perSource: Int32Array;
  readonly meter: RangeMeter | null;
  recordings = 0;
  padded = 0;

  constructor(sources: number, channels: number) {
    this.perSource = new Int32Array(sources);
    this.meter = channels <= MOST_RANGES ? new RangeMeter(channels) : null;
  }
}

async function writeRecording(
  raw: SampleArray,
  kept: Kept,
  found: Findings,
  files: { shards: ShardWriter; index: HashedFile; tally: Tally },
): Promise<void> {
  const { shards, index, tally } = files;
  const entry = {
    labels: found.classes.indexOf(kept.label),
    groups: kept.group === undefined ? -1 : found.groups.indexOf(kept.group),
    sources: kept.source,
    parts: kept.part === undefined ? -1 : PARTS[kept.part],
    recordings: tally.recordings,
  };
  const view = new DataView(new ArrayBuffer(INDEX_BYTES));
  for (const { data, start, padded } of cut(raw, kept, found.layout)) {
    const bytes = bytesOf(data);
    tally.meter?.add(data);
    tally.padded += padded ? 1 : 0;
    encodeEntry({ ...entry, starts: start, hashes: hashOf(bytes) }, view, 0);
    await shards.add(bytes);
    // The buffer copies, so the view may be used again.
    await index.write(new Uint8Array(view.buffer));
  }
  const samples = samplesOf(kept, found.layout);
  tally.perSource[kept.source] = tally.perSource[kept.source]! + samples;
  tally.recordings += samples > 0 ? 1 : 0;
}

async function writeSamples(
  folder: string,
  found: Findings,
  perShard: number,
): Promise<Pick<DatasetInfo, "samples" | "shards" | "index"> & { tally: Tally }> {
  const shards = new ShardWriter(folder, perShard);
  const index = await HashedFile.create(folder, INDEX_FILE);
  const tally = new Tally(found.sources.length, found.layout.shape.at(-1)!);
  const { kept } = found.scratch;
  try {
    for (const [i, each] of kept.entries()) {
      await writeRecording(await found.scratch.read(each), each, found, { shards, index, tally });
      found.onRecording(i + 1, kept.length);
    }
    await shards.finish();
    return { samples: shards.samples, shards: shards.shards, index: await index.finish(), tally };
  } catch (error) {
    await Promise.all([shards.abandon(), index.abandon()]);
    throw error;
  }
}

/** Writes a whole data set into an empty folder. The manifest comes last. Gives it with its text. */
export async function writeDataset(folder: string, found: Findings): Promise<{ info: DatasetInfo; text: string }> {
  const { layout } = found;
  const perShard = Math.max(1, Math.floor(SHARD_BYTES / sampleBytes(layout)));
  const { samples, shards, index, tally } = await writeSamples(folder, found, perShard);
  const info: DatasetInfo = {
    shape: layout.shape,
    dtype: layout.dtype,
    fullScale: layout.fullScale,
    rateHz: layout.rateHz,
    channels: layout.channels,
    classes: found.classes.names,
    groups: found.groups,
    samples,
    recordings: tally.recordings,
    padded: tally.padded,
    ranges: samples === 0 ? null : (tally.meter?.ranges() ?? null),
    options: found.options,
    sources: found.sources.map((source, i) => ({ ...source, samples: tally.perSource[i]! })),
    skipped: found.skipped,
    samplesPerShard: perShard,
    shards,
    index,
  };
  const text = manifestText(info);
  await writeFile(join(folder, MANIFEST_FILE), text);
  return { info, text };
}
