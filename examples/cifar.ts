// Small pictures: ResNet-8 learns CIFAR-10 (its .bin files, packed or not) with flips, crops and colours.
//     npx tsx examples/cifar.ts /path/to/cifar [--seed N] [--epochs N]
import { brightness, colour, flipHorizontal, randomCrop, resnet8, splitDataset } from "kinglet";
import { filesOf, measureTask, taskArguments, trainAndQuantize, withImported } from "./shared/accuracy.ts";

const { data, seeds, epochs } = taskArguments({ epochs: 60, places: ["image"] });
await withImported(data, { only: "*cifar*", test: filesOf(data, /test.*\.bin/) }, async (dataset) => {
  const split = splitDataset(dataset);
  await measureTask(`CIFAR-10, ${split.train.length} pictures learned, ${split.test.length} judged`, seeds, async (seed) => [
    await trainAndQuantize(resnet8({ seed }), dataset, split, {
      epochs,
      batchSize: 32,
      seed,
      optimizer: { kind: "adam", weightDecay: 1e-3, decoupled: true },
      schedule: { kind: "oneCycle", rate: 0.005 },
      augment: [flipHorizontal(), randomCrop(4), brightness(0.1), colour(0.3)],
    }),
  ]);
});
