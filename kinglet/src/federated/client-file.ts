import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytesOf, KingletError } from "../base/index.ts";
import type { ClientMemory, Remembered } from "./client-memory.ts";

/** What simulated clients remember, in a temporary file: ten thousand of them need gigabytes, of which a round reads only its own clients'. */
export class ClientFile implements ClientMemory {
  private readonly folder: string;
  private readonly file: FileHandle;
  private readonly places = new Map<string, number>();
  private length = 0;

  private constructor(folder: string, file: FileHandle) {
    this.folder = folder;
    this.file = file;
  }

  static async open(): Promise<ClientFile> {
    const folder = await mkdtemp(join(tmpdir(), "kinglet-clients-"));
    return new ClientFile(folder, await open(join(folder, "vectors"), "wx+"));
  }

  async recall(kind: Remembered, client: number): Promise<Float32Array | undefined> {
    const place = this.places.get(`${kind} ${client}`);
    if (place === undefined) return undefined;
    const vector = new Float32Array(this.length);
    await this.file.read(bytesOf(vector), 0, vector.byteLength, place * vector.byteLength);
    return vector;
  }

  /** @throws KingletError `bad-input` for a vector of another length than the first. */
  async keep(kind: Remembered, client: number, vector: Float32Array): Promise<void> {
    if (this.places.size === 0) this.length = vector.length;
    if (vector.length !== this.length) throw new KingletError("bad-input", `${vector.length} numbers do not fit where ${this.length} have been`);
    const key = `${kind} ${client}`;
    const place = this.places.get(key) ?? this.places.size;
    await this.file.write(bytesOf(vector), 0, vector.byteLength, place * vector.byteLength);
    this.places.set(key, place);
  }

  /** Removes the file. */
  async close(): Promise<void> {
    await this.file.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
