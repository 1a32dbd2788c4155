import type { DepthwiseAttributes } from "../../ops/index.ts";

/** Sizes of a depthwise layer; a pitch is the words of a row of its scratch. */
export interface PlanarShape {
  readonly batches: number;
  readonly inH: number;
  readonly inW: number;
  readonly channels: number;
  readonly outH: number;
  readonly outW: number;
  readonly filterH: number;
  readonly filterW: number;
  readonly a: DepthwiseAttributes;
  readonly pitch: number;
}

/**
 * How much of a map is widened at a time: inputs for `rows` rows of outputs (a divisor of all rows) of one or four
 * channels. Bands within channels ("channels") hand rows that both need to the next, and may write over an input of the
 * same size at once; channels within bands ("bands") lag by a band, and so suit maps that shrink.
 */
export interface Banding {
  readonly channels: 1 | 4;
  readonly rows: number;
  readonly order: "channels" | "bands";
}

/** Rows of inputs that `rows` rows of outputs need. */
export function inputRows(s: PlanarShape, rows: number): number {
  return (rows - 1) * s.a.strideH + s.filterH;
}

function scratchBytes(s: PlanarShape, { channels, rows }: Banding): number {
  return 4 * channels * inputRows(s, rows) * s.pitch;
}

/** Bytes by which output and input together exceed the larger of them. */
function lag(s: PlanarShape, { rows, order }: Banding): number {
  const [inRow, outRow] = [s.inW * s.channels, s.outW * s.channels];
  const [input, output] = [s.inH * inRow, s.outH * outRow];
  if (order === "channels") return input === output && s.a.strideH === 1 && s.filterH > s.a.padTop ? 0 : Math.min(input, output);
  const behind = [1, s.outH / rows - 1].map((band) => band * rows * outRow - (band * rows * s.a.strideH - s.a.padTop) * inRow);
  return Math.min(input, output, rows * outRow + Math.max(0, ...behind));
}

/** Bytes that a banding adds to the larger of input and output. */
export function bandingBytes(s: PlanarShape, banding: Banding): number {
  return scratchBytes(s, banding) + lag(s, banding);
}

/** Instructions that a banding costs beside the sums, for one channel: widening, rows handed on, and starting each band. */
function bandingCost(s: PlanarShape, { channels, rows, order }: Banding): number {
  const bands = s.outH / rows;
  const shared = order === "channels" ? Math.max(0, s.filterH - s.a.strideH) : 0;
  const widened = bands * inputRows(s, rows) - (bands - 1) * shared;
  return widened * (s.inW * (channels === 4 ? 1.8 : 2.6) + 6) + (bands - 1) * (shared * (s.inW + 10) + 60);
}

function divisors(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0);
}

/** The cheapest banding that adds at most `room` bytes; where none does, the smallest. */
export function chooseBanding(s: PlanarShape, room: number): Banding {
  const groups = s.channels % 4 === 0 ? ([4, 1] as const) : ([1] as const);
  const all = groups.flatMap((channels) =>
    divisors(s.outH).flatMap((rows) => (["channels", "bands"] as const).map((order): Banding => ({ channels, rows, order }))),
  );
  const fitting = all.filter((banding) => bandingBytes(s, banding) <= room);
  if (fitting.length === 0) return all.reduce((best, each) => (bandingBytes(s, each) < bandingBytes(s, best) ? each : best));
  return fitting.reduce((best, each) => (bandingCost(s, each) < bandingCost(s, best) ? each : best));
}
