import { readCifar } from "./cifar.ts";
import { type CsvOptions, readCsv } from "./csv.ts";
import { readEdgeImpulseCbor, readEdgeImpulseJson } from "./edge-impulse.ts";
import { readIdx } from "./idx.ts";
import { gunzip, isGzip } from "./inflate.ts";
import { readJpeg } from "./jpeg.ts";
import { readNpyRecordings, readNpz } from "./npy-arrays.ts";
import { readPng } from "./png.ts";
import type { Recording } from "./recording.ts";
import { refuse } from "./refuse.ts";
import { readWav } from "./wav.ts";

export type { CsvOptions } from "./csv.ts";
export { isZip, readZip, type ZipMember } from "./zip.ts";
export { newArray, type Recording, type SampleArray, type SampleDType } from "./recording.ts";

/** A file's bytes, and those of another one beside it. */
export interface FileContent {
  readonly bytes: Uint8Array;
  /** Path for messages. */
  readonly place: string;
  /** The file of that name in the same folder, or null. */
  sibling(baseName: string): Promise<Uint8Array | null>;
}

export interface ReadOptions {
  readonly csv?: CsvOptions;
  /** Rows of tables and arrays are instants of recordings, since windows will be cut from them. */
  readonly steps?: boolean;
}

type Reader = (file: FileContent, options: ReadOptions) => Iterable<Recording> | Promise<Iterable<Recording>>;

const baseOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);
const unpacked = (bytes: Uint8Array, place: string): Uint8Array => (isGzip(bytes) ? gunzip(bytes, place) : bytes);

/** The pictures of an idx file with the labels of the file beside it, which has "labels" and "idx1" in its name. */
async function readIdxPair({ bytes, place, sibling }: FileContent): Promise<Iterable<Recording>> {
  const array = readIdx(bytes, place);
  const base = baseOf(place);
  const labelsName = base.replace("images", "labels").replace(/idx\d/, "idx1");
  const file = labelsName === base ? null : ((await sibling(`${labelsName}.gz`)) ?? (await sibling(labelsName)));
  if (file === null) return refuse(place, `the file with its labels is not beside it (${labelsName === base ? "one named labels" : labelsName})`);
  const labels = readIdx(unpacked(file, labelsName), labelsName);
  const n = array.shape[0]!;
  if (labels.shape.length !== 1 || labels.shape[0] !== n) refuse(place, `there are ${n} samples and ${labels.data.length} labels`);
  return idxRecordings(array, labels.data, n, /(^|[-_.])(t10k|test)[-_.]/i.test(base) ? "test" : "train");
}

function* idxRecordings(array: ReturnType<typeof readIdx>, labels: ArrayLike<number>, n: number, part: "train" | "test"): Iterable<Recording> {
  const size = array.data.length / n;
  const dims = array.shape.slice(1);
  const shape = dims.length === 0 ? [1, 1] : dims.length === 1 ? [dims[0]!, 1] : dims.length === 2 ? [...dims, 1] : dims;
  const fullScale = array.dtype === "uint8" && dims.length >= 2 ? 255 : 1;
  for (let i = 0; i < n; i++)
    yield { data: array.data.subarray(i * size, (i + 1) * size), dtype: array.dtype, shape, fullScale, label: String(labels[i]), part };
}

const READERS: readonly (readonly [pattern: RegExp, reader: Reader])[] = [
  [/\.wav$/, ({ bytes, place }) => [readWav(bytes, place)]],
  [/\.(csv|tsv|txt)$/, ({ bytes, place }, options) => readCsv(bytes, place, { ...options.csv, ...(options.steps ? { steps: true } : {}) })],
  [/\.png$/, ({ bytes, place }) => [readPng(bytes, place)]],
  [/\.jpe?g$/, ({ bytes, place }) => [readJpeg(bytes, place)]],
  [/[-.]idx\d(-ubyte)?$/, readIdxPair],
  [/\.npy$/, ({ bytes, place }) => readNpyRecordings(bytes, place)],
  [/\.npz$/, ({ bytes, place }, options) => readNpz(bytes, place, options.steps === true)],
  [/\.bin$/, ({ bytes, place }) => readCifar(bytes, place)],
  [/\.json$/, ({ bytes, place }) => [readEdgeImpulseJson(bytes, place)]],
  [/\.cbor$/, ({ bytes, place }) => [readEdgeImpulseCbor(bytes, place)]],
];

/** What is read, for messages. */
export const KNOWN_FORMATS =
  "wav, csv, png, jpg, idx, npy, npz, CIFAR .bin, Edge Impulse .json and .cbor (each but the last also as .gz), and zip files of these";

const plainName = (name: string): string => name.toLowerCase().replace(/\.gz$/, "");

function readerFor(name: string): Reader | null {
  return READERS.find(([pattern]) => pattern.test(plainName(name)))?.[1] ?? null;
}

/** Files that hold text about the data, hidden ones, and labels that are read with what they belong to. */
const ABOUT = /^(\.|readme|licen[cs]e|notice|copying|changelog)|labels[-.]idx1(-ubyte)?(\.gz)?$/i;

/** Whether a file of this name holds samples, by its ending. */
export function isDataFile(name: string): boolean {
  return readerFor(name) !== null && !ABOUT.test(baseOf(name)) && !name.split("/").includes("__MACOSX");
}

/**
 * The recordings of one file, its format told by the name.
 * @throws KingletError `bad-input` or `unsupported`, now or while the recordings are taken.
 */
export async function readRecordings(file: FileContent, options: ReadOptions = {}): Promise<Iterable<Recording>> {
  const reader = readerFor(file.place);
  if (reader === null) return refuse(file.place, "Kinglet does not read data of this format", `It reads ${KNOWN_FORMATS}.`);
  const bytes = /\.gz$/i.test(file.place) ? gunzip(file.bytes, file.place) : file.bytes;
  return await reader({ ...file, bytes, place: file.place.replace(/\.gz$/i, "") }, options);
}
