// Eighteen activities from the acceleration of a smartwatch, of people whom the network never saw: a 1-D CNN, for WISDM's 2019 data set (an
// archive of arrays USER_accel_xyz and USER_accel_act). Each person is tested once, in four folds; a figure is the mean of the four.
//     npx tsx examples/watch-activities.ts /path/to/data [--seed N] [--epochs N]
import { type Dataset, kFolds, motionScale, rotate3d } from "kinglet";
import { type Accuracy, measureTask, taskArguments, trainAndQuantize, withImported } from "./shared/accuracy.ts";
import { ACTIVITIES_IMPORT, ACTIVITIES_PLACES, activitiesNetwork } from "./shared/activities.ts";

const FOLDS = 4;

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
    accuracies.push(await trainAndQuantize(await activitiesNetwork(dataset, train, seed), dataset, split, training, { floatUntil: "arranged" }));
  }
  return accuracies;
}

const { data, seeds, epochs } = taskArguments({ epochs: 6, places: ACTIVITIES_PLACES });
await withImported(data, ACTIVITIES_IMPORT, async (dataset) => {
  await measureTask("Activities, people kept apart", seeds, async (seed) => await everyPerson(dataset, seed, epochs));
});
