import type { GraphBuilder, Value } from "../graph/index.ts";
import { STATISTICS, type Statistic } from "../ops/index.ts";
import { filterTime } from "./filter.ts";
import { addNode, binary, misuse } from "./node.ts";
import { spectrogram } from "./spectrum.ts";
import { hannWindow } from "./windows.ts";

export interface SpectralOptions {
  readonly sampleRate: number;
  /** Samples of a segment, a power of two from 8 to 4096; segments overlap by half. */
  readonly fftLength: number;
  /** Edges of neighbouring bands in hertz, one more than there are bands; a band holds its lower edge. */
  readonly bandEdgesHz: readonly number[];
}

/**
 * Factors [bins, bands] from squared spectra to the power in each band: a density (one-sided, as scipy.signal.welch
 * has it by default) times the distance of two bins.
 */
function bandWeights(window: Float32Array, { sampleRate, fftLength, bandEdgesHz }: SpectralOptions): Float32Array {
  const [bins, bands] = [fftLength / 2 + 1, bandEdgesHz.length - 1];
  if (bands < 1 || bandEdgesHz.some((edge, i) => !(edge >= 0) || (i > 0 && edge <= bandEdgesHz[i - 1]!)))
    misuse(`bands with the edges ${bandEdgesHz.join(", ")} Hz`);
  const energy = window.reduce((sum, w) => sum + w * w, 0);
  const weights = new Float32Array(bins * bands);
  for (let bin = 0; bin < bins; bin++) {
    const hz = (bin * sampleRate) / fftLength;
    const band = bandEdgesHz.findIndex((edge, i) => i < bands && hz >= edge && hz < bandEdgesHz[i + 1]!);
    const sides = bin === 0 || bin === bins - 1 ? 1 : 2;
    if (band >= 0) weights[bin * bands + band] = sides / (energy * fftLength);
  }
  return weights;
}

/** [n, time, channels] with the mean of each channel taken away. */
function withoutMean(b: GraphBuilder, x: Value): Value {
  return binary(b, "sub", x, addNode(b, "mean", [x], { axes: [1], keepDims: true }, "time_mean"), "centered");
}

/**
 * Power of every channel in frequency bands by Welch's method: [n, time, channels] → [n, channels, bands]. The mean is
 * taken away first; segments have a Hann window.
 */
export function spectralFeatures(b: GraphBuilder, x: Value, options: SpectralOptions): Value {
  const [n, time, channels] = x.shape as [number, number, number];
  if (time < options.fftLength) misuse(`${time} samples are fewer than a segment of ${options.fftLength}`);
  const bands = options.bandEdgesHz.length - 1;
  const turned = addNode(b, "transpose", [withoutMean(b, x)], { permutation: [0, 2, 1] }, "by_channel");
  const rows = addNode(b, "reshape", [turned], { shape: [n * channels, time] }, "rows");
  const window = hannWindow(options.fftLength);
  const framing = { frameLength: options.fftLength, frameStep: options.fftLength / 2, fftLength: options.fftLength };
  const powers = spectrogram(b, rows, { ...framing, window, power: 2, filters: { bands, weights: bandWeights(window, options) } });
  const mean = addNode(b, "mean", [powers], { axes: [1], keepDims: false }, "band_power");
  return addNode(b, "reshape", [mean], { shape: [n, channels, bands] }, "bands_by_channel");
}

export interface MotionOptions {
  /** By default all of them: mean, std, rms, skewness, kurtosis, min, max, zeroCrossings, peaks. */
  readonly statistics?: readonly Statistic[];
  /** A peak must be higher than this: 0 by default. */
  readonly peakHeight?: number;
  /** Second-order sections that the signal goes through first, such as those of `butterworth`. */
  readonly sections?: readonly number[];
  /** Band powers behind the statistics. */
  readonly spectrum?: SpectralOptions;
}

/**
 * Features of motion: [n, time, channels] → [n, features]. First every statistic of every channel (statistics outside,
 * channels inside), then every band's power (channels outside, bands inside).
 */
export function motionFeatures(b: GraphBuilder, x: Value, options: MotionOptions = {}): Value {
  const signal = options.sections === undefined ? x : filterTime(b, x, options.sections);
  const kinds = options.statistics ?? STATISTICS;
  const found = addNode(b, "timeStatistics", [signal], { kinds: kinds.join(" "), peakHeight: options.peakHeight ?? 0 }, "statistics");
  const flat = (value: Value, name: string): Value =>
    addNode(b, "reshape", [value], { shape: [value.shape[0]!, value.shape[1]! * value.shape[2]!] }, name);
  const statistics = flat(found, "statistics_row");
  if (options.spectrum === undefined) return statistics;
  const powers = flat(spectralFeatures(b, signal, options.spectrum), "band_row");
  return addNode(b, "concatenation", [statistics, powers], { axis: 1, activation: "none" }, "motion_features");
}
