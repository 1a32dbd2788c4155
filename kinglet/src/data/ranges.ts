import type { ChannelRange } from "./manifest.ts";
import type { SampleArray } from "./readers/index.ts";

/** Mean, deviation and extremes by channel, gathered one sample at a time (Welford's update, merged by sample). */
export class RangeMeter {
  private readonly channels: number;
  private count = 0;
  private readonly min: Float64Array;
  private readonly max: Float64Array;
  private readonly mean: Float64Array;
  /** Sum of squared distances from the mean. */
  private readonly square: Float64Array;

  constructor(channels: number) {
    this.channels = channels;
    this.min = new Float64Array(channels).fill(Number.POSITIVE_INFINITY);
    this.max = new Float64Array(channels).fill(Number.NEGATIVE_INFINITY);
    this.mean = new Float64Array(channels);
    this.square = new Float64Array(channels);
  }

  /** Adds a sample whose last dimension is the channels. */
  add(data: SampleArray): void {
    const count = data.length / this.channels;
    if (count === 0) return;
    for (let c = 0; c < this.channels; c++) this.merge(c, count, data);
    this.count += count;
  }

  private merge(c: number, count: number, data: SampleArray): void {
    let [sum, min, max] = [0, this.min[c]!, this.max[c]!];
    for (let i = c; i < data.length; i += this.channels) {
      const value = data[i]!;
      sum += value;
      if (value < min) min = value;
      if (value > max) max = value;
    }
    const mean = sum / count;
    let square = 0;
    for (let i = c; i < data.length; i += this.channels) square += (data[i]! - mean) ** 2;
    const [total, distance] = [this.count + count, mean - this.mean[c]!];
    [this.min[c], this.max[c]] = [min, max];
    this.square[c] = this.square[c]! + square + (distance * distance * this.count * count) / total;
    this.mean[c] = this.mean[c]! + (distance * count) / total;
  }

  /** By channel, in the units of the samples. */
  ranges(): ChannelRange[] {
    return Array.from({ length: this.channels }, (_, c) => ({
      min: this.min[c]!,
      max: this.max[c]!,
      mean: this.mean[c]!,
      std: Math.sqrt(this.square[c]! / Math.max(1, this.count)),
    }));
  }
}
