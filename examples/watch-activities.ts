// Eighteen activities from the acceleration of a smartwatch, of people whom the network never saw: a 1-D CNN, for WISDM's 2019 data set (an
// archive of arrays USER_accel_xyz and USER_accel_act). Each person is tested once, in four folds; a figure is the mean of the four.
//     npx tsx examples/watch-activities.ts /path/to/data [--seed N] [--epochs N]
import {
  applyOp,
  cnn1d,
  type Dataset,
  type Graph,
  GraphBuilder,
  joinGraphs,
  kFolds,
  measureNormalization,
  motionScale,
  normalise,
  rotate3d,
} from "kinglet";
import { type Accuracy, measureTask, taskArguments, trainAndQuantize, withImported } from "./shared/accuracy.ts";

/** Ten seconds at 20 Hz; windows overlap by half. */
const LENGTH = 200;
const FOLDS = 4;

/** Acceleration, normalized as the training part asks for, to activities. */
async function motionNetwork(dataset: Dataset, train: Int32Array, seed: number): Promise<Graph> {
  const [length, inputChannels] = dataset.info.shape as [number, number];
  const b = new GraphBuilder("normalized");
  const motion = b.input("motion", { dtype: "float32", shape: [1, length, inputChannels] });
  const normalized = normalise(b, motion, await measureNormalization(dataset, train));
  b.output(applyOp(b, "reshape", [normalized], { shape: [1, length, 1, inputChannels] }, "arranged")[0]!);
  return joinGraphs("activities", b.build(), cnn1d({ length, inputChannels, classes: dataset.info.classes.length, seed }));
}

async function everyPerson(dataset: Dataset, seed: number, epochs: number): Promise<Accuracy[]> {
  const accuracies: Accuracy[] = [];
  for (const { train, test } of kFolds(dataset, FOLDS, { by: "group" })) {
    const training = {
      epochs,
      batchSize: 32,
      seed,
      optimizer: { kind: "adam", weightDecay: 1e-4, decoupled: true },
      schedule: { kind: "oneCycle", rate: 0.005 },
      augment: [rotate3d(15), motionScale(0.1)],
    } as const;
    const split = { train, validation: new Int32Array(0), test };
    accuracies.push(await trainAndQuantize(await motionNetwork(dataset, train, seed), dataset, split, training, { floatUntil: "arranged" }));
  }
  return accuracies;
}

const { data, seeds, epochs } = taskArguments({ epochs: 6, places: ["motion/wisdm51-watch.npz", "wisdm51-watch.npz"] });
const importing = { only: "*accel*", group: "prefix", window: { length: LENGTH, hop: LENGTH / 2, short: "drop" } } as const;
await withImported(data, importing, async (dataset) => {
  await measureTask("Activities, people kept apart", seeds, async (seed) => await everyPerson(dataset, seed, epochs));
});
