// Gestures with a wand: a 1-D CNN on acceleration, for the recordings of TensorFlow Lite Micro's magic wand as one table (columns recording,
// label, person, x, y, z). Each recording is tested once, in five folds; a figure is the mean of the five.
//     npx tsx examples/magic-wand.ts /path/to/data [--seed N] [--epochs N]
import { audioShift, cnn1d, type Dataset, kFolds, motionScale, rotate3d, timeWarp } from "kinglet";
import { type Accuracy, measureTask, taskArguments, trainAndQuantize, withImported } from "./shared/accuracy.ts";

/** Five seconds; a gesture takes two to four of them, and zeros follow. */
const LENGTH = 128;
const FOLDS = 5;
async function everyFold(dataset: Dataset, seed: number, epochs: number): Promise<Accuracy[]> {
  const accuracies: Accuracy[] = [];
  for (const { train, test } of kFolds(dataset, FOLDS)) {
    const network = cnn1d({ length: LENGTH, inputChannels: 3, classes: dataset.info.classes.length, seed });
    const training = {
      epochs,
      batchSize: 16,
      seed,
      optimizer: { kind: "adam", weightDecay: 1e-4, decoupled: true },
      schedule: { kind: "oneCycle", rate: 0.005 },
      augment: [rotate3d(15), motionScale(0.2), timeWarp(0.2), audioShift(12)],
    } as const;
    accuracies.push(await trainAndQuantize(network, dataset, { train, validation: new Int32Array(0), test }, training, { io: "int8" }));
  }
  return accuracies;
}

const { data, seeds, epochs } = taskArguments({ epochs: 30, places: ["motion/tflm-magic-wand.csv.gz", "tflm-magic-wand.csv.gz"] });
// The recordings of no gesture are in thousandths of g, the others in g.
const importing = { label: "column:label", group: "column:person", window: { length: LENGTH, hop: LENGTH, short: "pad" }, unit: "g" } as const;
await withImported(data, importing, async (dataset) => {
  await measureTask("Magic wand, each recording tested once", seeds, async (seed) => await everyFold(dataset, seed, epochs));
});
