import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytesOf, KingletError } from "../base/index.ts";
import type { ClientMemories } from "./client-memory.ts";
import type { ClientMemory } from "./client-round.ts";

type Kind = keyof ClientMemory;

/** What simulated clients remember, in a temporary file: ten thousand of them need gigabytes, of which a round reads only its own clients'. */
export class ClientFile implements ClientMemories {
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

  private async read(kind: Kind, client: number): Promise<ClientMemory> {
    const place = this.places.get(`${kind} ${client}`);
    if (place === undefined) return {};
    const vector = new Float32Array(this.length);
    await this.file.read(bytesOf(vector), 0, vector.byteLength, place * vector.byteLength);
    return { [kind]: vector };
  }

  private async write(kind: Kind, client: number, vector: Float32Array): Promise<void> {
    if (this.places.size === 0) this.length = vector.length;
    if (vector.length !== this.length) throw new KingletError("bad-input", `${vector.length} numbers do not fit where ${this.length} have been`);
    const key = `${kind} ${client}`;
    const place = this.places.get(key) ?? this.places.size;
    await this.file.write(bytesOf(vector), 0, vector.byteLength, place * vector.byteLength);
    this.places.set(key, place);
  }

  async recall(client: number): Promise<ClientMemory> {
    return { ...(await this.read("rest", client)), ...(await this.read("control", client)) };
  }

  /** @throws KingletError `bad-input` for a vector of another length than the first. */
  async keep(client: number, { rest, control }: ClientMemory): Promise<void> {
    if (rest !== undefined) await this.write("rest", client, rest);
    if (control !== undefined) await this.write("control", client, control);
  }

  /** Removes the file. */
  async close(): Promise<void> {
    await this.file.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
