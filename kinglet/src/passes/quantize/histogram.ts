import { KingletError } from "../../base/index.ts";
import { quantizationFor, type Range, unionRange } from "./scale.ts";

/** How the range of a tensor is chosen from what was seen of it. */
export type CalibrationMethod = "minmax" | "moving-average" | "percentile" | "mse" | "entropy";

export const CALIBRATION_METHODS: readonly CalibrationMethod[] = ["minmax", "moving-average", "percentile", "mse", "entropy"];

export function needsHistogram(method: CalibrationMethod): boolean {
  return method === "percentile" || method === "mse" || method === "entropy";
}

/** Weight of what was seen before, for each new sample. */
const MOMENTUM = 0.9;

/** Smallest and largest of a tensor: over everything seen, and as an exponential moving average over samples. */
export class RangeObserver {
  private readonly name: string;
  private total: Range | undefined;
  private average: Range | undefined;

  constructor(name: string) {
    this.name = name;
  }

  /** @throws KingletError `bad-input` where a number is not finite. */
  observe(data: Float32Array): void {
    let [low, high] = [Infinity, -Infinity];
    for (const x of data) {
      if (!(Math.abs(x) < Infinity))
        throw new KingletError("bad-input", `on the calibration data the tensor "${this.name}" becomes ${x}, for which there is no range`);
      if (x < low) low = x;
      if (x > high) high = x;
    }
    const seen = { low, high };
    this.total = this.total === undefined ? seen : unionRange(this.total, seen);
    const mix = (before: number, now: number): number => before * MOMENTUM + now * (1 - MOMENTUM);
    this.average = this.average === undefined ? seen : { low: mix(this.average.low, low), high: mix(this.average.high, high) };
  }

  /** Undefined where nothing was seen. */
  range(method: "minmax" | "moving-average"): Range | undefined {
    return method === "minmax" ? this.total : this.average;
  }
}

const BINS = 2048;
/** Levels that the entropy method keeps of a one-sided distribution. */
const LEVELS = 128;

/** Counts of a tensor's elements in 2048 bins over a known range, which is widened to hold 0. */
export class Histogram {
  readonly low: number;
  readonly width: number;
  readonly counts: Float64Array = new Float64Array(BINS);
  private readonly range: Range;

  constructor(range: Range) {
    this.range = range;
    this.low = Math.min(0, range.low);
    this.width = (Math.max(0, range.high) - this.low) / BINS;
  }

  observe(data: Float32Array): void {
    if (this.width === 0) return;
    const scale = 1 / this.width;
    for (const x of data) this.counts[Math.max(0, Math.min(BINS - 1, Math.floor((x - this.low) * scale)))]!++;
  }

  choose(method: "percentile" | "mse" | "entropy", percentile: number): Range {
    if (this.width === 0) return this.range;
    if (method === "percentile") return this.percentile(percentile);
    return method === "mse" ? this.leastError() : this.leastDivergence();
  }

  private middle(bin: number): number {
    return this.low + (bin + 0.5) * this.width;
  }

  /** The range that holds `percentile` per cent of the elements, what is cut off divided between both ends. */
  private percentile(percentile: number): Range {
    const total = this.counts.reduce((sum, count) => sum + count, 0);
    const cut = (total * (1 - percentile / 100)) / 2;
    let [first, last, below, above] = [0, BINS - 1, 0, 0];
    for (; first < BINS - 1 && below + this.counts[first]! <= cut; first++) below += this.counts[first]!;
    for (; last > 0 && above + this.counts[last]! <= cut; last--) above += this.counts[last]!;
    const [low, high] = [this.low + first * this.width, this.low + (last + 1) * this.width];
    return { low: first === 0 ? this.range.low : low, high: last === BINS - 1 ? this.range.high : high };
  }

  /** Squared error of quantizing to int8 with a range. */
  private error(range: Range): number {
    const { scale, zeroPoint } = quantizationFor(range, "int8");
    let sum = 0;
    for (let bin = 0; bin < BINS; bin++) {
      const count = this.counts[bin]!;
      if (count === 0) continue;
      const x = this.middle(bin);
      const stored = Math.max(-128, Math.min(127, Math.round(x / scale) + zeroPoint));
      sum += count * (x - (stored - zeroPoint) * scale) ** 2;
    }
    return sum;
  }

  private leastError(): Range {
    let best = this.range;
    let least = this.error(best);
    const attempt = (range: Range): void => {
      const error = this.error(range);
      if (error < least) [best, least] = [range, error];
    };
    for (let part = 99; part >= 20; part--) attempt({ low: (this.range.low * part) / 100, high: (this.range.high * part) / 100 });
    // Each end by itself, around the best common factor.
    for (let part = 120; part >= 50; part -= 2) attempt({ low: Math.max(this.range.low, (best.low * part) / 100), high: best.high });
    for (let part = 120; part >= 50; part -= 2) attempt({ low: best.low, high: Math.min(this.range.high, (best.high * part) / 100) });
    return best;
  }

  /** Counts of magnitudes, in 2048 bins up to the largest. */
  private magnitudes(): { counts: Float64Array; width: number } {
    const most = Math.max(-this.low, this.low + BINS * this.width);
    const [counts, width] = [new Float64Array(BINS), most / BINS];
    for (let bin = 0; bin < BINS; bin++) counts[Math.min(BINS - 1, Math.floor(Math.abs(this.middle(bin)) / width))]! += this.counts[bin]!;
    return { counts, width };
  }

  /** Migacz, "8-bit inference with TensorRT" (2017): the clipping threshold of least Kullback-Leibler divergence. */
  private leastDivergence(): Range {
    const { counts, width } = this.magnitudes();
    // Zeros, of which a ReLU makes many, are exact in every range: they must not outweigh the rest.
    counts[0] = counts[1]!;
    let [best, least] = [BINS, Infinity];
    for (let bins = LEVELS; bins <= BINS; bins += 4) {
      const divergence = clippedDivergence(counts, bins);
      if (divergence < least) [best, least] = [bins, divergence];
    }
    const threshold = best * width;
    return { low: Math.max(this.range.low, -threshold), high: Math.min(this.range.high, threshold) };
  }
}

/** Divergence of the clipped distribution (what lies beyond counts in its last bin) from its form in 128 levels. */
function clippedDivergence(counts: Float64Array, bins: number): number {
  let outliers = 0;
  for (let i = bins; i < BINS; i++) outliers += counts[i]!;
  let total = outliers;
  for (let i = 0; i < bins; i++) total += counts[i]!;
  if (total === outliers) return Infinity;
  let divergence = 0;
  for (let level = 0; level < LEVELS; level++) {
    const [from, to] = [Math.floor((level * bins) / LEVELS), Math.floor(((level + 1) * bins) / LEVELS)];
    let [sum, filled] = [0, 0];
    for (let i = from; i < to; i++) {
      sum += counts[i]!;
      if (counts[i]! > 0) filled++;
    }
    for (let i = from; i < to; i++) {
      const p = (counts[i]! + (i === bins - 1 ? outliers : 0)) / total;
      // The quantized form spreads a level's elements over its bins that are not empty.
      const q = counts[i]! > 0 ? sum / filled / (total - outliers) : 0;
      if (p > 0) divergence += p * Math.log(p / Math.max(q, 1e-12));
    }
  }
  return divergence;
}
