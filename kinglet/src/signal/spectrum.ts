import type { GraphBuilder, Value } from "../graph/index.ts";
import { addNode, asFloat, binary, floats } from "./node.ts";
import { hannWindow } from "./windows.ts";

export interface FrameOptions {
  /** Samples of a frame, and from the start of one to that of the next. */
  readonly frameLength: number;
  readonly frameStep: number;
  /** A power of two from 8 to 4096; by default the smallest that holds a frame. */
  readonly fftLength?: number;
  /** `frameLength` factors; by default the periodic Hann window. */
  readonly window?: Float32Array;
  /** Frames begin as long as there are samples; zeros lie behind the last one. */
  readonly padEnd?: boolean;
}

function fftLengthOf(options: FrameOptions): number {
  return options.fftLength ?? Math.max(8, 2 ** Math.ceil(Math.log2(options.frameLength)));
}

/** Bins of a spectrum: frequencies from 0 to half the sample rate. */
export function binsOf(options: FrameOptions): number {
  return fftLengthOf(options) / 2 + 1;
}

const framing = (options: FrameOptions): { length: number; step: number; padEnd: boolean } => ({
  length: options.frameLength,
  step: options.frameStep,
  padEnd: options.padEnd ?? false,
});

/** int16 samples stand for −1 to 1; the factor is a power of two, so it changes no digit of a window. */
function windowFor(b: GraphBuilder, x: Value, options: FrameOptions): Value {
  const window = options.window ?? hannWindow(options.frameLength);
  return floats(b, "window", [options.frameLength], x.dtype === "int16" ? window.map((w) => w * 2 ** -15) : window);
}

/**
 * Short-time Fourier transform as tf.signal.stft has it: samples [n, samples] → [n, frames, bins, 2], real and
 * imaginary part. int16 samples count as whole numbers.
 */
export function stft(b: GraphBuilder, x: Value, options: FrameOptions): Value {
  const framed = addNode(b, "frames", [asFloat(b, x)], framing(options));
  return addNode(b, "rfft", [binary(b, "mul", framed, windowFor(b, x, options), "windowed")], { fftLength: fftLengthOf(options) }, "stft");
}

export interface SpectrogramOptions extends FrameOptions {
  /** 1: magnitudes (the default); 2: their squares. */
  readonly power?: 1 | 2;
  /** Factors [bins, bands] that join bins to bands, such as `melWeights`. */
  readonly filters?: { readonly bands: number; readonly weights: Float32Array };
}

/**
 * Samples [n, samples] → sizes of the spectrum [n, frames, bins], or [n, frames, bands] under filters. Only one
 * frame's spectrum is in memory at a time. float32, or int16 for −1 to 1 in steps of 1/32768.
 */
export function spectrogram(b: GraphBuilder, x: Value, options: SpectrogramOptions): Value {
  const inputs = [x, windowFor(b, x, options)];
  const { filters } = options;
  if (filters !== undefined) inputs.push(floats(b, "filters", [binsOf(options), filters.bands], filters.weights));
  return addNode(b, "spectrogram", inputs, { ...framing(options), fftLength: fftLengthOf(options), power: options.power ?? 1 });
}
