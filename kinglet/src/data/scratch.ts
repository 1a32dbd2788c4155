import { type FileHandle, open } from "node:fs/promises";
import { bytesOf, type Shape, viewOf } from "../base/index.ts";
import type { Recording, SampleArray, SampleDType } from "./readers/index.ts";
import { type Acceleration, accelerationOf } from "./units.ts";

/** A recording that lies in the scratch file: all about it but its values. */
export interface Kept {
  readonly offset: number;
  readonly bytes: number;
  readonly dtype: SampleDType;
  readonly shape: Shape;
  readonly fullScale: number;
  readonly rateHz: number | undefined;
  readonly channels: readonly string[] | undefined;
  readonly label: string;
  readonly group: string | undefined;
  readonly part: "train" | "test" | undefined;
  readonly source: number;
  readonly place: string;
  /** Where three channels may be acceleration. */
  readonly acceleration?: Acceleration | undefined;
  /** What its acceleration is multiplied by. */
  readonly factor?: number;
}

const BUFFER_BYTES = 1 << 20;

/** Writes to a file in pieces of a mebibyte. */
export class BufferedFile {
  private readonly handle: FileHandle;
  private readonly buffer = new Uint8Array(BUFFER_BYTES);
  private used = 0;
  /** Bytes written so far. */
  size = 0;

  private constructor(handle: FileHandle) {
    this.handle = handle;
  }

  static async create(path: string): Promise<BufferedFile> {
    return new BufferedFile(await open(path, "w+"));
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.used + bytes.length > BUFFER_BYTES) await this.flush();
    if (bytes.length > BUFFER_BYTES) await this.writeAll(bytes);
    else {
      this.buffer.set(bytes, this.used);
      this.used += bytes.length;
    }
    this.size += bytes.length;
  }

  /** The system may take only a part at a time, as on a disk that is nearly full. */
  private async writeAll(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) at += (await this.handle.write(bytes, at)).bytesWritten;
  }

  async flush(): Promise<void> {
    await this.writeAll(this.buffer.subarray(0, this.used));
    this.used = 0;
  }

  async readAt(offset: number, into: Uint8Array): Promise<void> {
    for (let at = 0; at < into.length; ) {
      const { bytesRead } = await this.handle.read(into, at, into.length - at, offset + at);
      if (bytesRead === 0) throw new Error("the scratch file is shorter than what was written to it");
      at += bytesRead;
    }
  }

  /** After this the bytes are on the disk, not only in the system's memory. */
  async finish(): Promise<void> {
    await this.flush();
    await this.handle.sync();
    await this.handle.close();
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

/** Decoded recordings on disk, so that files are decoded once although the common shape is known only at the end. */
export class Scratch {
  private readonly file: BufferedFile;
  readonly kept: Kept[] = [];

  private constructor(file: BufferedFile) {
    this.file = file;
  }

  static async create(path: string): Promise<Scratch> {
    return new Scratch(await BufferedFile.create(path));
  }

  async add(recording: Recording, about: Pick<Kept, "label" | "group" | "part" | "source" | "place">): Promise<void> {
    const { data, dtype, shape, fullScale, rateHz, channels } = recording;
    const offset = this.file.size;
    const bytes = bytesOf(data);
    await this.file.write(bytes);
    const acceleration = accelerationOf(data, { shape, channels, fullScale });
    this.kept.push({ offset, bytes: bytes.length, dtype, shape, fullScale, rateHz, channels, acceleration, ...about });
  }

  /** No recording is added after this. */
  async finish(): Promise<void> {
    await this.file.flush();
  }

  async read(kept: Kept): Promise<SampleArray> {
    const bytes = new Uint8Array(kept.bytes);
    await this.file.readAt(kept.offset, bytes);
    const itemBytes = kept.bytes / kept.shape.reduce((a, b) => a * b, 1);
    return viewOf(kept.dtype, bytes.buffer, 0, kept.bytes / itemBytes) as SampleArray;
  }

  async close(): Promise<void> {
    await this.file.close();
  }
}
