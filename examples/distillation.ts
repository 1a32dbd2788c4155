// Hinton's experiment (arXiv 1503.02531, section 3): a large teacher with dropout and shifted digits, and a smaller network alone and
// taught by it, on MNIST.
//     npx tsx examples/distillation.ts /path/to/mnist [--seed N] [--epochs N]
import { type ClassifierOptions, evaluateOn, type Evaluation, type Graph, mlp, randomCrop, splitDataset, trainClassifier } from "kinglet";
import { taskArguments, withImported } from "./shared/accuracy.ts";
import { MNIST } from "./shared/pictures.ts";

const { data, seeds, epochs } = taskArguments({ epochs: 12, places: MNIST.places });
const [TEMPERATURE, ALPHA] = [20, 0.9];

await withImported(data, MNIST.importing, async (dataset) => {
  const split = splitDataset(dataset);
  const seed = seeds[0]!;

  const learn = async (title: string, hidden: number[], options: Partial<ClassifierOptions> = {}): Promise<{ network: Graph; test: Evaluation }> => {
    const start = performance.now();
    const { network } = await trainClassifier(mlp({ hidden, seed }), dataset, split, {
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
  const alone = await learn("student 784-800-800-10 alone", [800, 800]);
  // Shifted digits are learned slowly: the teacher is given twice the time.
  const teaching = { epochs: 2 * epochs, dropout: 0.5, augment: [randomCrop(2)] };
  const teacher = await learn("teacher 784-1200-1200-10, dropout, shifts", [1200, 1200], teaching);
  const distill = { teacher: teacher.network, temperature: TEMPERATURE, alpha: ALPHA };
  const taught = await learn(`student distilled at T = ${TEMPERATURE}`, [800, 800], { distill });
  console.log(`errors fall by ${(100 * (1 - taught.test.mistakes.length / alone.test.mistakes.length)).toFixed(0)} %`);
});
