// Hinton's experiment (arXiv 1503.02531, section 3): a large teacher with dropout and shifted digits, and a smaller network alone and
// taught by it. Needs the development data: KINGLET_SHARED names its folder.
//     node --import tsx examples/distillation.ts [training samples, default 10000] [epochs, default 14] [seed, default 1]
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { type Dataset, datasetFromArrays, randomCrop, type Split } from "../kinglet/src/data/index.ts";
import type { Graph } from "../kinglet/src/graph/index.ts";
import { type ClassifierOptions, type Evaluation, evaluateOn, trainClassifier } from "../kinglet/src/train/index.ts";
import { mlp } from "../kinglet/src/zoo/index.ts";

const [SAMPLES, EPOCHS, SEED] = [2, 3, 4].map((at, i) => Number(process.argv[at] ?? [10_000, 14, 1][i])) as [number, number, number];
const [BATCH, TEMPERATURE, ALPHA] = [128, 20, 0.9];
const [PIXELS, IMAGE_HEADER, LABEL_HEADER] = [784, 16, 8];

/** The first samples of MNIST's training part, and 5,000 of its test part behind them. */
function digits(): { dataset: Dataset; split: Split } {
  const folder = join(process.env["KINGLET_SHARED"] ?? "shared", "data", "image");
  const read = (name: string, header: number): Uint8Array => gunzipSync(readFileSync(join(folder, name))).subarray(header);
  const images = ["mnist-train-images", "mnist-t10k-first5000-images"].map((name) => read(`${name}-idx3-ubyte.gz`, IMAGE_HEADER));
  const labels = ["mnist-train-labels", "mnist-t10k-first5000-labels"].map((name) => read(`${name}-idx1-ubyte.gz`, LABEL_HEADER));
  const data = Float32Array.from([...images[0]!.subarray(0, SAMPLES * PIXELS), ...images[1]!], (x) => x / 255);
  const all = Int32Array.from([...labels[0]!.subarray(0, SAMPLES), ...labels[1]!]);
  const positions = Int32Array.from(all, (_, i) => i);
  const dataset = datasetFromArrays({ shape: [28, 28, 1], data, labels: all, classes: [..."0123456789"] });
  return { dataset, split: { train: positions.subarray(0, SAMPLES), validation: new Int32Array(0), test: positions.subarray(SAMPLES) } };
}

const { dataset, split } = digits();

async function learn(title: string, hidden: number[], options: Partial<ClassifierOptions> = {}): Promise<{ network: Graph; test: Evaluation }> {
  const start = performance.now();
  const { network } = await trainClassifier(mlp({ hidden, seed: SEED }), dataset, split, {
    epochs: EPOCHS,
    batchSize: BATCH,
    seed: SEED,
    optimizer: { kind: "adam" },
    schedule: { kind: "oneCycle", rate: 0.001 },
    ...options,
  });
  const test = await evaluateOn(network, dataset, split.test);
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  console.log(`${title.padEnd(44)} ${test.mistakes.length} errors of ${test.samples} (${(100 * test.accuracy).toFixed(2)} %), ${seconds} s`);
  return { network, test };
}

console.log(`MNIST, ${SAMPLES} training samples, ${EPOCHS} epochs, seed ${SEED}`);
// Shifted digits are learned slowly: the teacher is given twice the time.
const teaching = { epochs: 2 * EPOCHS, dropout: 0.5, augment: [randomCrop(2)] };
const teacher = await learn("teacher 784-1200-1200-10, dropout, shifts", [1200, 1200], teaching);
const alone = await learn("student 784-800-800-10 alone", [800, 800]);
const distill = { teacher: teacher.network, temperature: TEMPERATURE, alpha: ALPHA };
const taught = await learn(`student distilled at T = ${TEMPERATURE}`, [800, 800], { distill });
console.log(`errors fall by ${(100 * (1 - taught.test.mistakes.length / alone.test.mistakes.length)).toFixed(0)} %`);
