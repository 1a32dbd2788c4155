import { KingletError, type Shape, shapeText, mapInto } from "../base/index.ts";
import { newArray, type SampleArray, type SampleDType } from "./readers/index.ts";
import { toColour } from "./pictures.ts";
import type { Kept } from "./scratch.ts";
import { scaledAcceleration } from "./units.ts";
import { type WindowOptions, windowStarts, wholeRecordings } from "./windows.ts";

/** The one form that all samples of a data set have. */
export interface Layout {
  readonly shape: Shape;
  readonly dtype: SampleDType;
  readonly fullScale: number;
  readonly rateHz: number | null;
  readonly channels: readonly string[] | null;
  /** Of signals. */
  readonly window: WindowOptions | null;
  /** Values are divided by their own full scale, since the files disagree about it. */
  readonly rescale: boolean;
}

function disagree(what: string, a: string, b: string, first: Kept, other: Kept, hint?: string): never {
  throw new KingletError("bad-input", `${what} differ: ${first.place} has ${a}, ${other.place} has ${b}`, hint === undefined ? {} : { hint });
}

function sameRate(kept: readonly Kept[]): number | null {
  const [first] = kept;
  const other = kept.find((each) => each.rateHz !== first!.rateHz);
  if (other !== undefined) {
    const text = (rate: number | undefined): string => (rate === undefined ? "no stated rate" : `${rate} Hz`);
    disagree(
      "sampling rates",
      text(first!.rateHz),
      text(other.rateHz),
      first!,
      other,
      "Resample the files to one rate, or import a part of them with --only.",
    );
  }
  return first!.rateHz ?? null;
}

function pictureShape(kept: readonly Kept[]): Shape {
  const [first] = kept;
  const size = (each: Kept): string => `${each.shape[0]}×${each.shape[1]}`;
  const other = kept.find((each) => size(each) !== size(first!));
  if (other !== undefined) disagree("the pictures' sizes", size(first!), size(other), first!, other, "Resize them: --size 96x96, for example.");
  const channels = Math.max(...new Set(kept.map((each) => each.shape[2]!)));
  const odd = kept.find((each) => each.shape[2] !== channels && !(each.shape[2] === 1 && channels === 3));
  if (odd !== undefined)
    disagree("the pictures' channels", String(channels), String(odd.shape[2]), kept.find((each) => each.shape[2] === channels)!, odd);
  return [first!.shape[0]!, first!.shape[1]!, channels];
}

function signalWindow(kept: readonly Kept[], wanted: WindowOptions | null): { window: WindowOptions; channels: number } {
  const [first] = kept;
  const other = kept.find((each) => each.shape[1] !== first!.shape[1]);
  if (other !== undefined)
    disagree(
      "the numbers of channels",
      String(first!.shape[1]),
      String(other.shape[1]),
      first!,
      other,
      "Import one kind of recording at a time with --only.",
    );
  return { window: wanted ?? wholeRecordings(kept.map((each) => each.shape[0]!)), channels: first!.shape[1]! };
}

const isConverted = ({ factor = 1 }: Kept): boolean => factor !== 1;

/** Integers stay as they are where all files have the same type; otherwise all become float32. */
function commonType(kept: readonly Kept[]): Pick<Layout, "dtype" | "fullScale" | "rescale"> {
  const [first] = kept;
  const alike = kept.every((each) => each.fullScale === first!.fullScale);
  if (!alike) return { dtype: "float32", fullScale: 1, rescale: true };
  if (kept.some(isConverted)) return { dtype: "float32", fullScale: first!.fullScale, rescale: false };
  const dtype = kept.every((each) => each.dtype === first!.dtype) ? first!.dtype : "float32";
  return { dtype, fullScale: first!.fullScale, rescale: false };
}

function commonChannels(kept: readonly Kept[]): readonly string[] | null {
  const [first] = kept;
  const text = JSON.stringify(first!.channels);
  return kept.every((each) => JSON.stringify(each.channels) === text) ? (first!.channels ?? null) : null;
}

/** Finds the form that fits all recordings. @throws KingletError `bad-input` that names two files which do not go together. */
export function commonLayout(kept: readonly Kept[], wanted: WindowOptions | null): Layout {
  const [first] = kept;
  const other = kept.find((each) => each.shape.length !== first!.shape.length);
  if (other !== undefined)
    disagree("kinds of samples", shapeText(first!.shape), shapeText(other.shape), first!, other, "Import pictures and signals apart.");
  const common = { ...commonType(kept), rateHz: sameRate(kept), channels: commonChannels(kept) };
  if (first!.shape.length === 3) {
    if (wanted !== null) throw new KingletError("misuse", "windows are cut from signals, and these are pictures");
    return { ...common, shape: pictureShape(kept), window: null };
  }
  const { window, channels } = signalWindow(kept, wanted);
  return { ...common, shape: [window.length, channels], window };
}

/** How many samples a recording gives. */
export function samplesOf(kept: Kept, layout: Layout): number {
  return layout.window === null ? 1 : windowStarts(kept.shape[0]!, layout.window).length;
}

function converted(data: SampleArray, kept: Kept, layout: Layout): SampleArray {
  if (isConverted(kept)) return scaledAcceleration(data, kept.acceleration!, kept.shape[1]!, kept.factor!);
  if (kept.dtype === layout.dtype && !layout.rescale) return data;
  return layout.rescale ? mapInto(new Float32Array(data.length), data, (value) => value / kept.fullScale) : new Float32Array(data);
}

/** The samples of one recording with the step at which each begins. */
export function* cut(raw: SampleArray, kept: Kept, layout: Layout): Iterable<{ data: SampleArray; start: number; padded: boolean }> {
  const data = converted(raw, kept, layout);
  if (layout.window === null) {
    yield { data: kept.shape[2] === 1 && layout.shape[2] === 3 ? toColour(data) : data, start: 0, padded: false };
    return;
  }
  const { length } = layout.window;
  const channels = layout.shape[1]!;
  for (const start of windowStarts(kept.shape[0]!, layout.window)) {
    const piece = data.subarray(start * channels, (start + length) * channels);
    if (piece.length === length * channels) yield { data: piece, start, padded: false };
    else {
      const filled = newArray(layout.dtype, length * channels);
      filled.set(piece);
      yield { data: filled, start, padded: true };
    }
  }
}
