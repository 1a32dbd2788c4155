import { KingletError, mapInto } from "../base/index.ts";
import type { Dataset } from "./dataset.ts";
import { RangeMeter } from "./ranges.ts";

/**
 * What is subtracted and divided by, in units of the full scale (sound in [-1, 1), pictures in [0, 1]): one number for each channel, or
 * one for all.
 */
export interface Normalization {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Samples held at a time while measuring. */
const PIECE = 256;

/**
 * Measures mean and standard deviation over some samples, by channel (the last dimension) or over all values. Reads piece by piece, so
 * memory does not grow with the data set.
 */
export async function measureNormalization(dataset: Dataset, positions: Int32Array, by: "channel" | "all" = "channel"): Promise<Normalization> {
  const { shape, fullScale } = dataset.info;
  const meter = new RangeMeter(by === "channel" ? shape.at(-1)! : 1);
  for (let at = 0; at < positions.length; at += PIECE) {
    const piece = await dataset.read(positions.subarray(at, at + PIECE));
    meter.add(mapInto(new Float32Array(piece.length), piece, (value) => value / fullScale));
  }
  const ranges = positions.length === 0 ? [] : meter.ranges();
  if (ranges.length === 0) throw new KingletError("misuse", "a normalization is measured on one sample at least");
  // A channel that never changes has nothing to divide by.
  return { mean: ranges.map(({ mean }) => mean), std: ranges.map(({ std }) => (std > 0 ? std : 1)) };
}

/** A normalization known beforehand: (value - offset) / scale. */
export function fixedNormalization(scale: number, offset = 0): Normalization {
  if (!(scale > 0 && Number.isFinite(scale) && Number.isFinite(offset)))
    throw new KingletError("misuse", "the scale of a normalization is a number above 0");
  return { mean: [offset], std: [scale] };
}

/** Normalizes values whose last dimension has `channels`, in place. */
export function normalize(values: Float32Array, channels: number, { mean, std }: Normalization): void {
  const own = mean.length === 1 ? 1 : channels;
  if (mean.length !== own || std.length !== own)
    throw new KingletError("misuse", `a normalization of ${mean.length} channels does not fit ${channels}`);
  for (let i = 0; i < values.length; i++) values[i] = (values[i]! - mean[i % own]!) / std[i % own]!;
}
