import { elementCount, KingletError, type Shape } from "../base/index.ts";
import type { SampleDType } from "./readers/index.ts";

export const MANIFEST_FILE = "dataset.json";
export const INDEX_FILE = "index.bin";
export const NORMALIZATION_FILE = "normalization.json";
const FORMAT = "kinglet-data";
const VERSION = 1;

/** A file that samples came from. */
export interface SourceInfo {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly samples: number;
}

export interface StoredFile {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** What the values of a channel are, in stored units. */
export interface ChannelRange {
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly std: number;
}

/** Everything about a data set but the samples themselves; it is stored as JSON. */
export interface DatasetInfo {
  /** Of one sample: `[length, channels]` of a signal, `[h, w, c]` of a picture. */
  readonly shape: Shape;
  readonly dtype: SampleDType;
  /** The stored value that stands for 1.0: 32768 for sound of 16 bits, 255 for pictures, 1 where numbers are what they are. */
  readonly fullScale: number;
  /** Samples per second, where the files said so. */
  readonly rateHz: number | null;
  /** Names of channels, where the files had them. */
  readonly channels: readonly string[] | null;
  readonly classes: readonly string[];
  /** Names of speakers, persons, places: what a split should not tear apart. */
  readonly groups: readonly string[];
  readonly samples: number;
  /** Files, rows between dividers, pictures: windows of one recording stay together in a split. */
  readonly recordings: number;
  /** Samples that were filled up with zeros. */
  readonly padded: number;
  /** By channel; null beyond 16 channels. */
  readonly ranges: readonly ChannelRange[] | null;
  /** The choices of the import, as text. */
  readonly options: Readonly<Record<string, string>>;
  readonly sources: readonly SourceInfo[];
  readonly skipped: readonly { readonly place: string; readonly reason: string }[];
  readonly samplesPerShard: number;
  readonly shards: readonly StoredFile[];
  readonly index: StoredFile;
}

const ITEM_BYTES: Readonly<Record<SampleDType, number>> = { float32: 4, int8: 1, uint8: 1, int16: 2, uint16: 2, int32: 4 };

/** Bytes of one stored sample. */
export function sampleBytes(info: { readonly shape: Shape; readonly dtype: SampleDType }): number {
  return elementCount(info.shape) * ITEM_BYTES[info.dtype];
}

export function shardName(index: number): string {
  return `data-${String(index).padStart(5, "0")}.bin`;
}

/** One line for each source and class, so that a difference between two manifests can be read. */
export function manifestText(info: DatasetInfo): string {
  return `${JSON.stringify({ format: FORMAT, version: VERSION, ...info }, null, 1)}\n`;
}

type Plain = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Plain => typeof value === "object" && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === "string";
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const listOf = (value: unknown, each: (item: unknown) => boolean): boolean => Array.isArray(value) && value.every(each);
const isStored = (value: unknown): boolean => isObject(value) && isText(value["file"]) && isCount(value["bytes"]) && isText(value["sha256"]);
const isSource = (value: unknown): boolean =>
  isObject(value) && isText(value["name"]) && isCount(value["bytes"]) && isText(value["sha256"]) && isCount(value["samples"]);
const isSkipped = (value: unknown): boolean => isObject(value) && isText(value["place"]) && isText(value["reason"]);
const isNumber = (value: unknown): boolean => typeof value === "number" && Number.isFinite(value);
const isRange = (value: unknown): boolean => isObject(value) && ["min", "max", "mean", "std"].every((key) => isNumber(value[key]));
const orNull =
  (check: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    value === null || check(value);

const CHECKS: Readonly<Record<keyof DatasetInfo, (value: unknown) => boolean>> = {
  shape: (value) => listOf(value, (dim) => isCount(dim) && dim > 0) && [2, 3].includes((value as unknown[]).length),
  dtype: (value) => isText(value) && Object.hasOwn(ITEM_BYTES, value),
  fullScale: (value) => isNumber(value) && (value as number) > 0,
  rateHz: orNull(isNumber),
  channels: orNull((value) => listOf(value, isText)),
  classes: (value) => listOf(value, isText),
  groups: (value) => listOf(value, isText),
  samples: isCount,
  recordings: isCount,
  padded: isCount,
  ranges: orNull((value) => listOf(value, isRange)),
  options: (value) => isObject(value) && Object.values(value).every(isText),
  sources: (value) => listOf(value, isSource),
  skipped: (value) => listOf(value, isSkipped),
  samplesPerShard: (value) => isCount(value) && value > 0,
  shards: (value) => listOf(value, isStored),
  index: isStored,
};

/** The sizes of all files follow from the counts. */
function sizesAgree(info: DatasetInfo, indexBytes: number): boolean {
  const shards = Math.ceil(info.samples / info.samplesPerShard);
  const bytesOf = (i: number): number => Math.min(info.samplesPerShard, info.samples - i * info.samplesPerShard) * sampleBytes(info);
  const named = info.shards.every(({ file, bytes }, i) => file === shardName(i) && bytes === bytesOf(i));
  return info.shards.length === shards && named && info.index.file === INDEX_FILE && info.index.bytes === info.samples * indexBytes;
}

/** Reads a manifest. @throws KingletError `bad-file` that names the field that is wrong. */
export function parseManifest(text: string, place: string, indexBytes: number): DatasetInfo {
  const fail = (message: string): never => {
    throw new KingletError("bad-file", message, { place, hint: "Import the data again with kinglet data import." });
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fail("the data set's manifest is damaged");
  }
  if (!isObject(value) || value["format"] !== FORMAT) return fail("this is not the manifest of a data set");
  if (value["version"] !== VERSION)
    return fail(`the data set has version ${String(value["version"]).slice(0, 20)}, and this Kinglet reads ${VERSION}`);
  const { format: _format, version: _version, ...rest } = value;
  for (const [key, check] of Object.entries(CHECKS)) if (!check(rest[key])) return fail(`"${key}" is missing or wrong in the data set's manifest`);
  const info = rest as unknown as DatasetInfo;
  if (!sizesAgree(info, indexBytes)) return fail("the counts in the data set's manifest contradict each other");
  return info;
}
