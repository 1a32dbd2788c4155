// Ten spoken digits of speakers that the network never heard: a DS-CNN on MFCCs, for the Free Spoken Digit Dataset (folder or zip of its
// recordings). Each of the six speakers is the test part once; the figures are means of the six.
//     npx tsx examples/spoken-digits.ts /path/to/recordings [--seed N] [--epochs N]
import {
  applyOp,
  audioShift,
  audioSpeed,
  type Dataset,
  dsCnn,
  type Graph,
  GraphBuilder,
  joinGraphs,
  leaveOneGroupOut,
  mapDataset,
  measureNormalization,
  mfccsFromLogMel,
  mfe,
  type Normalization,
  normalise,
} from "kinglet";
import { type Accuracy, measureTask, taskArguments, trainAndQuantize, withImported } from "./shared/accuracy.ts";

const RATE = 8000;
const FRAMES = { frameLength: 256, frameStep: 160, bands: 40, sampleRate: RATE, lowHz: 20, highHz: RATE / 2 };
/** Decibels below the loudest band of a recording: how loud somebody speaks, and how still the room is, shall not matter. */
const RANGE = { reference: "largest", range: 50 } as const;
const COEFFICIENTS = 12;

/** One second of sound to cepstral coefficients [1, frames, coefficients]; with a normalization, to the map [1, frames, coefficients, 1]. */
function features(normalization?: Normalization): Graph {
  const b = new GraphBuilder("features");
  const sound = b.input("sound", { dtype: "float32", shape: [1, RATE] });
  const cepstra = mfccsFromLogMel(b, mfe(b, sound, { ...FRAMES, ...RANGE }), COEFFICIENTS);
  if (normalization === undefined) b.output(cepstra);
  else b.output(applyOp(b, "reshape", [normalise(b, cepstra, normalization)], { shape: [...cepstra.shape, 1] }, "arranged")[0]!);
  return b.build();
}

async function everySpeaker(dataset: Dataset, seed: number, epochs: number): Promise<Accuracy[]> {
  const cepstra = await mapDataset(dataset, features());
  const accuracies: Accuracy[] = [];
  for (const { train, test } of leaveOneGroupOut(dataset)) {
    const before = features(await measureNormalization(cepstra, train));
    const [, frames, coefficients] = before.outputs[0]!.shape as [number, number, number];
    const network = joinGraphs("digits", before, dsCnn({ size: [frames, coefficients], classes: 10, seed }));
    const split = { train, validation: new Int32Array(0), test };
    const training = {
      epochs,
      batchSize: 32,
      seed,
      optimizer: { kind: "adam", weightDecay: 1e-4, decoupled: true },
      schedule: { kind: "oneCycle", rate: 0.005 },
      augment: [audioSpeed(0.15), audioShift(800)],
    } as const;
    accuracies.push(await trainAndQuantize(network, dataset, split, training, { floatUntil: "arranged" }));
  }
  return accuracies;
}

const { data, seeds, epochs } = taskArguments({ epochs: 20, places: ["audio/fsdd.zip", "fsdd.zip"] });
const importing = { label: "part:1", group: "part:2", window: { length: RATE, hop: RATE, short: "pad" } } as const;
await withImported(data, importing, async (dataset) => {
  await measureTask("Spoken digits, each speaker tested once", seeds, async (seed) => await everySpeaker(dataset, seed, epochs));
});
