// Hinton's student (arXiv 1503.02531, section 3) on MNIST, 784-800-800-10: alone, and taught by a small convolutional network that learned
// from shifted digits. The teacher can judge any picture, so its pupil sees shifted ones, too.
//     npx tsx examples/distillation.ts /path/to/mnist [--seed N] [--epochs N]
import { type ClassifierOptions, dsCnn, evaluateOn, type Evaluation, type Graph, mlp, randomCrop, splitDataset, trainClassifier } from "kinglet";
import { taskArguments, withImported } from "./shared/accuracy.ts";
import { MNIST } from "./shared/pictures.ts";

const { data, seeds, epochs } = taskArguments({ epochs: 20, places: MNIST.places });
const [TEMPERATURE, ALPHA] = [4, 0.9];

await withImported(data, MNIST.importing, async (dataset) => {
  const split = splitDataset(dataset);
  const seed = seeds[0]!;

  const learn = async (title: string, untrained: Graph, options: Partial<ClassifierOptions> = {}): Promise<{ network: Graph; test: Evaluation }> => {
    const start = performance.now();
    const { network } = await trainClassifier(untrained, dataset, split, {
      epochs,
      batchSize: 128,
      seed,
      optimizer: { kind: "adam" },
      schedule: { kind: "oneCycle", rate: 0.001 },
      ...options,
    });
    const test = await evaluateOn(network, dataset, split.test);
    const seconds = ((performance.now() - start) / 1000).toFixed(0);
    console.log(`${title.padEnd(44)} ${test.mistakes.length} errors of ${test.samples} (${(100 * test.accuracy).toFixed(2)} %), ${seconds} s`);
    return { network, test };
  };

  console.log(`MNIST, ${split.train.length} digits learned, ${epochs} epochs, seed ${seed}`);
  const shifts = { augment: [randomCrop(2)] };
  const student = (): Graph => mlp({ hidden: [800, 800], seed });
  const teacher = await learn("teacher: DS-CNN, shifted digits", dsCnn({ variant: "digits", seed }), {
    ...shifts,
    batchSize: 64,
    schedule: { kind: "oneCycle", rate: 0.008 },
  });
  const distill = { teacher: teacher.network, temperature: TEMPERATURE, alpha: ALPHA };
  const taught = await learn(`student taught at T = ${TEMPERATURE}, shifted digits`, student(), { ...shifts, distill });
  const alone = await learn("student alone", student());
  const shifted = await learn("student alone, shifted digits", student(), shifts);
  for (const [than, { test }] of [
    ["the student alone", alone],
    ["the student alone on shifted digits", shifted],
  ] as const)
    console.log(`${(100 * (1 - taught.test.mistakes.length / test.mistakes.length)).toFixed(0)} % fewer errors than ${than}`);
});
