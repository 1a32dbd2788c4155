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
 * channels. A band hands the rows that the next one needs, too, on to it. Channels are computed one after the other, and each
 * has bytes of its own in every pixel, so an output that is no larger may lie right on its input.
 */
export interface Banding {
  readonly channels: 1 | 4;
  readonly rows: number;
}

/** Rows of inputs that `rows` rows of outputs need. */
export function inputRows(s: PlanarShape, rows: number): number {
  return (rows - 1) * s.a.strideH + s.filterH;
}

function scratchBytes(s: PlanarShape, { channels, rows }: Banding): number {
  return 4 * channels * inputRows(s, rows) * s.pitch;
}

/** Rows that a band of inputs shares with the next. */
export function sharedRows(s: PlanarShape): number {
  return Math.max(0, s.filterH - s.a.strideH);
}

/** Whether no band writes pixels that a later one has yet to read. */
function staysBehind(s: PlanarShape, { rows }: Banding): boolean {
  for (let done = rows; done < s.outH; done += rows) if (done * s.outW > (done * s.a.strideH - s.a.padTop + sharedRows(s)) * s.inW) return false;
  return true;
}

/** Bytes that a banding adds to the larger of input and output. */
export function bandingBytes(s: PlanarShape, banding: Banding): number {
  return scratchBytes(s, banding) + (staysBehind(s, banding) ? 0 : s.channels * Math.min(s.inH * s.inW, s.outH * s.outW));
}

/** Instructions that a banding costs beside the sums, for one channel: widening, rows handed on, and starting each band. */
function bandingCost(s: PlanarShape, { channels, rows }: Banding): number {
  const bands = s.outH / rows;
  const shared = sharedRows(s);
  const widened = bands * inputRows(s, rows) - (bands - 1) * shared;
  return widened * (s.inW * (channels === 4 ? 1.8 : 2.6) + 6) + (bands - 1) * (shared * (s.inW + 10) + 60);
}

function divisors(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0);
}

/** The cheapest banding that adds at most `room` bytes; where none does, the smallest. */
export function chooseBanding(s: PlanarShape, room: number): Banding {
  const groups = s.channels % 4 === 0 ? ([4, 1] as const) : ([1] as const);
  const all = groups.flatMap((channels) => divisors(s.outH).map((rows): Banding => ({ channels, rows })));
  const fitting = all.filter((banding) => bandingBytes(s, banding) <= room);
  if (fitting.length === 0) return all.reduce((best, each) => (bandingBytes(s, each) < bandingBytes(s, best) ? each : best));
  return fitting.reduce((best, each) => (bandingCost(s, each) < bandingCost(s, best) ? each : best));
}
