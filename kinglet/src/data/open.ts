import { type FileHandle, open, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { KingletError } from "../base/index.ts";
import { Dataset, type SampleStore } from "./dataset.ts";
import { type DatasetInfo, INDEX_FILE, MANIFEST_FILE, parseManifest, sampleBytes } from "./manifest.ts";
import { decodeIndex, INDEX_BYTES } from "./sample-index.ts";

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
