// Handwritten digits: a depthwise separable network of under 60,000 parameters learns MNIST's 60,000 and is judged on its test part. The
// folder holds the four idx files, packed or not.
//     npx tsx examples/mnist.ts /path/to/mnist [--seed N] [--epochs N]
import { dsCnn, randomCrop, splitDataset } from "kinglet";
import { measureTask, taskArguments, trainAndQuantize, withImported } from "./shared/accuracy.ts";
import { MNIST } from "./shared/pictures.ts";

const { data, seeds, epochs } = taskArguments({ epochs: 8, places: MNIST.places });
await withImported(data, MNIST.importing, async (dataset) => {
  const split = splitDataset(dataset);
  await measureTask(`MNIST, ${split.train.length} digits learned, ${split.test.length} judged`, seeds, async (seed) => [
    await trainAndQuantize(dsCnn({ variant: "digits", width: 1.5, seed }), dataset, split, {
      epochs,
      batchSize: 64,
      seed,
      optimizer: { kind: "adam", weightDecay: 1e-4, decoupled: true },
      schedule: { kind: "oneCycle", rate: 0.008 },
      augment: [randomCrop(2)],
    }),
  ]);
});
