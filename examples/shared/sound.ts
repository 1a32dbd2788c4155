// What the examples with sound share: cepstral coefficients that do not hear how loud a speaker is, and the changes of training samples.
import {
  applyOp,
  audioShift,
  audioSnr,
  audioSpeed,
  audioTilt,
  type ClassifierOptions,
  type Dataset,
  dsCnn,
  type Graph,
  GraphBuilder,
  joinGraphs,
  mapDataset,
  measureNormalization,
  mfccsFromLogMel,
  mfe,
  type Normalization,
  normalise,
  randomAt,
  type Value,
} from "kinglet";

const FRAME_SECONDS = 0.032;
const STEP_SECONDS = 0.02;
const BANDS = 40;
const COEFFICIENTS = 12;
/** Decibels below the loudest band that are heard: neither how loud somebody speaks nor how still the room is shall matter. */
const RANGE = 50;
/** The last node before the network: features stay in floating point until there. */
export const FEATURES_END = "arranged";

/** Cepstral mean subtraction: what a microphone and a voice colour alike in all frames is gone (Atal 1974). */
function withoutMean(b: GraphBuilder, cepstra: Value): Value {
  const [mean] = applyOp(b, "mean", [cepstra], { axes: [1], keepDims: true }, "mean_of_frames");
  return applyOp(b, "sub", [cepstra, mean!], {}, "without_mean")[0]!;
}

/** One second of sound to cepstral coefficients [1, frames, coefficients]; with a normalization to the map [1, frames, coefficients, 1]. */
function features(rate: number, normalization?: Normalization): Graph {
  const b = new GraphBuilder("features");
  const sound = b.input("sound", { dtype: "float32", shape: [1, rate] });
  const framing = { frameLength: rate * FRAME_SECONDS, frameStep: rate * STEP_SECONDS, sampleRate: rate };
  const decibels = mfe(b, sound, { ...framing, bands: BANDS, lowHz: 20, highHz: 4000, reference: "largest", range: RANGE });
  const cepstra = withoutMean(b, mfccsFromLogMel(b, decibels, COEFFICIENTS));
  if (normalization === undefined) b.output(cepstra);
  else b.output(applyOp(b, "reshape", [normalise(b, cepstra, normalization)], { shape: [...cepstra.shape, 1] }, FEATURES_END)[0]!);
  return b.build();
}

/** The cepstral coefficients of a whole data set of one second each, for measuring. */
export async function cepstraOf(dataset: Dataset): Promise<Dataset> {
  return await mapDataset(dataset, features(dataset.info.rateHz!));
}

/** Sound to classes: features that are normalized as the training part asks for, and a DS-CNN behind them. */
export async function soundNetwork(dataset: Dataset, cepstra: Dataset, train: Int32Array, seed: number): Promise<Graph> {
  const before = features(dataset.info.rateHz!, await measureNormalization(cepstra, train));
  const size = cepstra.info.shape as [frames: number, coefficients: number];
  return joinGraphs("words", before, dsCnn({ size, classes: dataset.info.classes.length, seed }));
}

/** Two seconds of noise: white, and rumbling. */
function noises(rate: number): Float32Array[] {
  return [0, 0.9].map((memory, seed) => {
    const random = randomAt(seed);
    let last = 0;
    return Float32Array.from({ length: 2 * rate }, () => (last = memory * last + random.float()));
  });
}

/** How both are trained. Samples change: other voices, other places in the second, other microphones, other rooms. */
export function soundTraining(rate: number, epochs: number, seed: number): ClassifierOptions {
  return {
    epochs,
    batchSize: 32,
    seed,
    optimizer: { kind: "adam", weightDecay: 1e-4, decoupled: true },
    schedule: { kind: "oneCycle", rate: 0.01 },
    labelSmoothing: 0.1,
    mixup: 0.2,
    augment: [audioSpeed(0.2), audioShift(rate / 10), audioTilt(0.8), audioSnr(noises(rate), 0, 40)],
  };
}
