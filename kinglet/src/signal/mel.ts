import type { GraphBuilder, Value } from "../graph/index.ts";
import { addNode, binary, floats, misuse, number } from "./node.ts";
import { binsOf, type SpectrogramOptions, spectrogram } from "./spectrum.ts";

export interface MelBank {
  readonly bands: number;
  readonly sampleRate: number;
  /** The lower edge of the first band and the upper edge of the last, in hertz. */
  readonly lowHz: number;
  readonly highHz: number;
}

/** The mel scale of HTK. */
const melOf = (hz: number): number => 1127 * Math.log(1 + hz / 700);

/**
 * Triangles at equal distances on the mel scale, [bins, bands] row by row, as tf.signal.linear_to_mel_weight_matrix
 * has them: the bin of frequency 0 counts nowhere, heights are 1.
 * @throws KingletError `misuse` for edges out of order or above half the sample rate.
 */
export function melWeights(bins: number, { bands, sampleRate, lowHz, highHz }: MelBank): Float32Array {
  if (!(lowHz >= 0 && lowHz < highHz && highHz <= sampleRate / 2))
    misuse(`mel bands from ${lowHz} to ${highHz} Hz at ${sampleRate} samples a second`);
  const [low, high] = [melOf(lowHz), melOf(highHz)];
  const edge = (i: number): number => low + ((high - low) * i) / (bands + 1);
  const weights = new Float32Array(bins * bands);
  for (let bin = 1; bin < bins; bin++) {
    const mel = melOf((sampleRate / 2) * (bin / (bins - 1)));
    for (let band = 0; band < bands; band++) {
      const up = (mel - edge(band)) / (edge(band + 1) - edge(band));
      const down = (edge(band + 2) - mel) / (edge(band + 2) - edge(band + 1));
      weights[bin * bands + band] = Math.max(0, Math.min(up, down));
    }
  }
  return weights;
}

export interface MelOptions extends Omit<SpectrogramOptions, "filters">, MelBank {}

/** Samples [n, samples] → sums of the spectrum under mel bands [n, frames, bands]. */
export function melSpectrogram(b: GraphBuilder, x: Value, options: MelOptions): Value {
  return spectrogram(b, x, { ...options, filters: { bands: options.bands, weights: melWeights(binsOf(options), options) } });
}

export interface LogMelOptions extends MelOptions {
  /** What is added first, so that silence has a logarithm: 1e-6 by default. */
  readonly offset?: number;
}

/** Samples [n, samples] → ln(mel + offset), [n, frames, bands]. */
export function logMel(b: GraphBuilder, x: Value, options: LogMelOptions): Value {
  return addNode(b, "log", [binary(b, "add", melSpectrogram(b, x, options), number(b, "offset", options.offset ?? 1e-6))], {}, "log_mel");
}

/** The first columns of the discrete cosine transform of type II, [bands, coefficients], with the scale of tf.signal's MFCCs. */
function cosines(bands: number, coefficients: number): Float32Array {
  return Float32Array.from({ length: bands * coefficients }, (_, i) => {
    const [n, k] = [Math.floor(i / coefficients), i % coefficients];
    return (2 * Math.cos((Math.PI * k * (2 * n + 1)) / (2 * bands))) / Math.sqrt(2 * bands);
  });
}

/** Log mel energies [n, frames, bands] → cepstral coefficients [n, frames, coefficients], as tf.signal.mfccs_from_log_mel_spectrograms. */
export function mfccsFromLogMel(b: GraphBuilder, x: Value, coefficients: number): Value {
  const bands = x.shape[x.shape.length - 1]!;
  if (!(coefficients >= 1 && coefficients <= bands)) misuse(`${coefficients} coefficients of ${bands} bands`);
  const table = floats(b, "cosines", [bands, coefficients], cosines(bands, coefficients));
  return addNode(b, "batchMatmul", [x, table], { adjX: false, adjY: false }, "mfcc");
}

export interface MfccOptions extends LogMelOptions {
  readonly coefficients: number;
}

/** Mel-frequency cepstral coefficients of samples [n, samples] → [n, frames, coefficients]. */
export function mfcc(b: GraphBuilder, x: Value, options: MfccOptions): Value {
  return mfccsFromLogMel(b, logMel(b, x, options), options.coefficients);
}

export interface DecibelOptions {
  /** What counts as 0 dB: 1 by default; "largest" is the largest energy of each example, which makes loud and soft recordings alike. */
  readonly reference?: number | "largest";
  /** Energies below this count as this: 1e-10 by default. */
  readonly smallest?: number;
  /** How many decibels below the largest of each example are kept; all by default (librosa's is 80). */
  readonly range?: number;
}

/** Energies [n, …] → 10 · log10(energy / reference), as librosa.power_to_db. */
export function powerToDb(b: GraphBuilder, x: Value, { smallest = 1e-10, reference = 1, range }: DecibelOptions = {}): Value {
  const logarithm = addNode(b, "log", [binary(b, "maximum", x, number(b, "smallest", smallest))]);
  const decibels = binary(b, "mul", logarithm, number(b, "decibels", 10 / Math.LN10), "db");
  const largest = (): Value => {
    const axes = x.shape.map((_, axis) => axis).slice(1);
    return addNode(b, "reduceMax", [decibels], { axes, keepDims: true }, "largest_db");
  };
  if (reference === "largest") {
    const relative = binary(b, "sub", decibels, largest(), "relative_db");
    return range === undefined ? relative : binary(b, "maximum", relative, number(b, "lowest", -range), "limited_db");
  }
  const zero = 10 * Math.log10(Math.max(smallest, reference));
  const lowest = range === undefined ? undefined : binary(b, "sub", largest(), number(b, "range", range), "lowest_db");
  const limited = lowest === undefined ? decibels : binary(b, "maximum", decibels, lowest, "limited_db");
  return zero === 0 ? limited : binary(b, "sub", limited, number(b, "reference", zero), "relative_db");
}

/** Energies under mel bands in decibels, [n, samples] → [n, frames, bands]. The spectrum's squares are summed. */
export function mfe(b: GraphBuilder, x: Value, options: Omit<MelOptions, "power"> & DecibelOptions): Value {
  return powerToDb(b, melSpectrogram(b, x, { ...options, power: 2 }), options);
}

export interface PcenOptions {
  /** Frames a second. */
  readonly frameRate: number;
  /** Of the running mean, in seconds: 0.4 by default. */
  readonly timeConstant?: number;
  readonly gain?: number;
  readonly bias?: number;
  readonly power?: number;
  readonly epsilon?: number;
  /** The running mean goes on from run to run instead of starting at 1: for audio that comes in pieces. */
  readonly streaming?: boolean;
}

/** Per-channel energy normalization of mel energies [n, frames, bands], with the defaults of librosa.pcen. */
export function pcen(b: GraphBuilder, x: Value, options: PcenOptions): Value {
  const frames = (options.timeConstant ?? 0.4) * options.frameRate;
  const smoothing = (Math.sqrt(1 + 4 * frames ** 2) - 1) / (2 * frames ** 2);
  const attributes = {
    smoothing,
    gain: options.gain ?? 0.98,
    bias: options.bias ?? 2,
    power: options.power ?? 0.5,
    epsilon: options.epsilon ?? 1e-6,
  };
  if (options.streaming !== true) return addNode(b, "pcen", [x], attributes);
  const shape = [x.shape[0]!, x.shape[2]!];
  const mean = b.variable("running_mean", { dtype: "float32", shape }, new Float32Array(shape[0]! * shape[1]!).fill(1));
  return addNode(b, "pcen", [x, mean], attributes);
}
