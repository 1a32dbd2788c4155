import { KingletError } from "../base/index.ts";

/** What is known of every sample, by its position: six small numbers and a hash of its bytes. */
export interface SampleIndex {
  /** Class. */
  readonly labels: Int32Array;
  /** Speaker, person, place; -1 where there is none. */
  readonly groups: Int32Array;
  /** File it came from. */
  readonly sources: Int32Array;
  /** The part it belongs to for good: 0 training, 1 test, -1 not said. */
  readonly parts: Int32Array;
  /** Recording it was cut from. */
  readonly recordings: Int32Array;
  /** Step of the recording at which it begins. */
  readonly starts: Int32Array;
  /** The first 52 bits of the bytes' SHA-256: equal for equal samples. */
  readonly hashes: Float64Array;
}

export type SampleEntry = { readonly [field in keyof SampleIndex]: number };

const FIELDS = ["labels", "groups", "sources", "parts", "recordings", "starts"] as const;

/** Bytes of one entry on disk, little-endian: six int32 and one float64. */
export const INDEX_BYTES = FIELDS.length * 4 + 8;

export function encodeEntry(entry: SampleEntry, view: DataView, at: number): void {
  FIELDS.forEach((field, i) => view.setInt32(at + 4 * i, entry[field], true));
  view.setFloat64(at + 4 * FIELDS.length, entry.hashes, true);
}

export function emptyIndex(samples: number): SampleIndex {
  const column = (): Int32Array => new Int32Array(samples);
  return {
    labels: column(),
    groups: column(),
    sources: column(),
    parts: column(),
    recordings: column(),
    starts: column(),
    hashes: new Float64Array(samples),
  };
}

interface Limits {
  readonly samples: number;
  readonly classes: number;
  readonly groups: number;
  readonly sources: number;
}

/** Reads the index file. @throws KingletError `bad-file` where an entry points to nothing. */
export function decodeIndex(bytes: Uint8Array, limits: Limits, place: string): SampleIndex {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const index = emptyIndex(limits.samples);
  for (let i = 0; i < limits.samples; i++) {
    FIELDS.forEach((field, k) => (index[field][i] = view.getInt32(i * INDEX_BYTES + 4 * k, true)));
    index.hashes[i] = view.getFloat64(i * INDEX_BYTES + 4 * FIELDS.length, true);
    const within = (value: number, low: number, high: number): boolean => value >= low && value < high;
    const sound =
      within(index.labels[i]!, 0, limits.classes) &&
      within(index.groups[i]!, -1, limits.groups) &&
      within(index.sources[i]!, 0, limits.sources) &&
      within(index.parts[i]!, -1, 2) &&
      within(index.recordings[i]!, 0, limits.samples);
    if (!sound) throw new KingletError("bad-file", `entry ${i} of the data set's index is damaged`, { place });
  }
  return index;
}
