import { decodeFloat16, type DType, type TypedArray } from "../../base/index.ts";
import { type NpyArray, readNpy } from "../../formats/browser.ts";
import { newArray, type Recording, requireFinite, type SampleArray, type SampleDType } from "./recording.ts";
import { refuse } from "./refuse.ts";
import { readZip } from "./zip.ts";

/** A picture's last dimension is its channels, a signal's too; beyond this many it is a width. */
const MOST_CHANNELS = 16;
/** Rows of at most this many numbers may be instants of a recording; longer ones are recordings. */
const MOST_SENSORS = 64;
const BYTE_SCALE = 255;

/** What an array's elements become: 64-bit integers and doubles are narrowed to what networks compute in. */
const STORED: Readonly<Record<DType, SampleDType>> = {
  float16: "float32",
  float32: "float32",
  float64: "float32",
  int8: "int8",
  uint8: "uint8",
  bool: "uint8",
  int16: "int16",
  uint16: "uint16",
  int32: "int32",
  uint32: "float32",
  int64: "float32",
  uint64: "float32",
};

function narrow(array: NpyArray, name: string): { dtype: SampleDType; data: SampleArray } {
  const dtype = STORED[array.dtype];
  if (array.dtype === dtype || array.dtype === "bool") return checked(array.data as SampleArray, dtype, name);
  if (array.dtype === "float16") return checked(decodeFloat16(array.data as Uint16Array), dtype, name);
  const data = newArray(dtype, array.data.length);
  for (let i = 0; i < data.length; i++) data[i] = Number(array.data[i]);
  return checked(data, dtype, name);
}

function checked(data: SampleArray, dtype: SampleDType, name: string): { dtype: SampleDType; data: SampleArray } {
  requireFinite(data, name);
  return { data, dtype };
}

/** `[n, 1]`, `[length, channels]` or `[h, w, c]`: what one sample of these dimensions is. */
function sampleShape(dims: readonly number[], name: string): readonly number[] {
  if (dims.length === 1) return [dims[0]!, 1];
  if (dims.length === 2) return dims[1]! <= MOST_CHANNELS ? dims : [...dims, 1];
  if (dims.length === 3) return dims;
  return refuse(name, `a sample of ${dims.length} dimensions is neither a signal nor a picture`);
}

const scaleOf = (dtype: SampleDType, shape: readonly number[]): number => (dtype === "uint8" && shape.length === 3 ? BYTE_SCALE : 1);

/** One .npy file: `[length]`, `[length, channels]` and `[h, w, c]` are one recording, `[n, h, w, c]` are n. */
export function* readNpyRecordings(bytes: Uint8Array, name: string): Iterable<Recording> {
  const array = readNpy(bytes, name);
  if (array.data.length === 0) refuse(name, "the array is empty");
  if (array.shape.length === 4) return yield* rowsOf(array, null, name);
  const shape = array.shape.length === 2 ? array.shape : sampleShape(array.shape, name);
  yield { ...narrow(array, name), shape, fullScale: scaleOf(STORED[array.dtype], shape) };
}

/** Each entry of the first dimension as one sample. */
function* rowsOf(array: NpyArray, labels: TypedArray | null, name: string): Iterable<Recording> {
  const { data, dtype } = narrow(array, name);
  const rows = array.shape[0]!;
  const shape = sampleShape(array.shape.slice(1), name);
  const size = data.length / rows;
  for (let i = 0; i < rows; i++) {
    const label = labels === null ? {} : { label: String(labels[i]) };
    yield { data: data.subarray(i * size, (i + 1) * size), dtype, shape, fullScale: scaleOf(dtype, shape), ...label };
  }
}

/** Rows are instants: a recording lasts as long as its label stays. */
function* segmentsOf(array: NpyArray, labels: TypedArray, name: string): Iterable<Recording> {
  const { data, dtype } = narrow(array, name);
  const [rows, channels] = [array.shape[0]!, array.shape[1]!];
  let start = 0;
  for (let i = 1; i <= rows; i++) {
    if (i < rows && labels[i] === labels[start]) continue;
    yield { data: data.subarray(start * channels, i * channels), dtype, shape: [i - start, channels], label: String(labels[start]), fullScale: 1 };
    start = i;
  }
}

type Named = readonly [name: string, array: NpyArray];

/** Text and pickled objects have no numbers in them, so they are passed over. */
function isText(bytes: Uint8Array): boolean {
  return /'descr'\s*:\s*(\[|'[<>|=]?[SUOaV])/.test(new TextDecoder("latin1").decode(bytes.subarray(0, 200)));
}

function readArrays(bytes: Uint8Array, name: string): Named[] {
  const members = readZip(bytes, name).filter((member) => member.name.endsWith(".npy"));
  const arrays: Named[] = [];
  for (const member of members) {
    const file = member.read();
    if (!isText(file)) arrays.push([member.name.replace(/\.npy$/, ""), readNpy(file, `${name}/${member.name}`)]);
  }
  return arrays;
}

function commonLetters(a: string, b: string): number {
  let [front, back] = [0, 0];
  while (front < a.length && a[front] === b[front]) front++;
  while (back < a.length - front && back < b.length - front && a.at(-1 - back) === b.at(-1 - back)) back++;
  return front + back;
}

const isLabels = ({ shape, dtype }: NpyArray): boolean => shape.length === 1 && !dtype.startsWith("float");

/** The labels of an array: the whole numbers of the same count whose name is most alike ("x_test" and "y_test"). */
function labelsOf([name, array]: Named, arrays: readonly Named[]): Named | null {
  const fitting = arrays.filter(([, other]) => other !== array && isLabels(other) && other.shape[0] === array.shape[0]);
  return fitting.reduce<Named | null>(
    (best, each) => (best === null || commonLetters(name, each[0]) > commonLetters(name, best[0]) ? each : best),
    null,
  );
}

function partOf(name: string): { part?: "train" | "test" } {
  const words = name.toLowerCase().split(/[^a-z]+/);
  return words.includes("test") ? { part: "test" } : words.includes("train") ? { part: "train" } : {};
}

/**
 * The recordings of a .npz file. An array and the labels beside it are found by their length and names: `X` and `y`, `x_test` and
 * `y_test`, `1600_accel_xyz` and `1600_accel_act`. Where `steps` is true, rows of up to 64 numbers are instants, and a
 * recording lasts as long as its label; otherwise every row is a sample. Arrays without labels are read as .npy files.
 */
export function* readNpz(bytes: Uint8Array, name: string, steps: boolean): Iterable<Recording> {
  const arrays = readArrays(bytes, name);
  const pairs = arrays.filter(([, array]) => array.shape.length >= 2).map((data) => ({ data, labels: labelsOf(data, arrays) }));
  if (pairs.length === 0) refuse(name, "the file holds no array of two or more dimensions");
  for (const { data, labels } of pairs) {
    const [origin, array] = data;
    if (array.data.length === 0) continue;
    const place = `${name}/${origin}`;
    for (const recording of recordingsOf(array, labels?.[1] ?? null, place, steps)) yield { ...recording, origin, ...partOf(origin) };
  }
}

function recordingsOf(array: NpyArray, labels: NpyArray | null, place: string, steps: boolean): Iterable<Recording> {
  const instants = steps && array.shape.length === 2 && array.shape[1]! <= MOST_SENSORS;
  if (labels === null && array.shape.length < 4) return [{ ...narrow(array, place), shape: sampleShape(array.shape, place), fullScale: 1 }];
  return instants ? segmentsOf(array, labels!.data, place) : rowsOf(array, labels?.data ?? null, place);
}
