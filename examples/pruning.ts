// What pruning costs and brings: 80 % of a dense network's weights on MNIST, and half of ResNet-8's work on CIFAR-10. Needs the
// development data: KINGLET_SHARED names its folder.
//     node --import tsx examples/pruning.ts mnist [training samples, default 10000] [epochs, default 10] [seed, default 1]
//     node --import tsx examples/pruning.ts cifar [training samples, default 4000] [epochs, default 15] [seed, default 1]
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { type Dataset, datasetFromArrays, flipHorizontal, randomCrop, type Split } from "../kinglet/src/data/index.ts";
import { makeArtefact } from "../kinglet/src/driver/index.ts";
import type { Graph } from "../kinglet/src/graph/index.ts";
import { pruneChannels } from "../kinglet/src/passes/index.ts";
import { type ClassifierOptions, evaluateOn, trainClassifier, zerosOf } from "../kinglet/src/train/index.ts";
import { mlp, resnet8 } from "../kinglet/src/zoo/index.ts";

const TASK = process.argv[2] === "cifar" ? "cifar" : "mnist";
const [SAMPLES, EPOCHS, SEED] = [3, 4, 5].map((at, i) => Number(process.argv[at] ?? (TASK === "mnist" ? [10_000, 10, 1] : [4000, 15, 1])[i])) as [
  number,
  number,
  number,
];
const [PIXELS, IMAGE_HEADER, LABEL_HEADER, SIDE] = [784, 16, 8, 32];

function read(name: string, header = 0): Uint8Array {
  return gunzipSync(readFileSync(join(process.env["KINGLET_SHARED"] ?? "shared", "data", "image", name))).subarray(header);
}

function datasetOf(shape: number[], data: Float32Array, labels: Int32Array): { dataset: Dataset; split: Split } {
  const positions = Int32Array.from(labels, (_, i) => i);
  const dataset = datasetFromArrays({ shape, data, labels, classes: [..."0123456789"] });
  return { dataset, split: { train: positions.subarray(0, SAMPLES), validation: new Int32Array(0), test: positions.subarray(SAMPLES) } };
}

function mnist(): { dataset: Dataset; split: Split } {
  const images = ["mnist-train-images", "mnist-t10k-first5000-images"].map((name) => read(`${name}-idx3-ubyte.gz`, IMAGE_HEADER));
  const labels = ["mnist-train-labels", "mnist-t10k-first5000-labels"].map((name) => read(`${name}-idx1-ubyte.gz`, LABEL_HEADER));
  const data = Float32Array.from([...images[0]!.subarray(0, SAMPLES * PIXELS), ...images[1]!], (x) => x / 255);
  return datasetOf([28, 28, 1], data, Int32Array.from([...labels[0]!.subarray(0, SAMPLES), ...labels[1]!]));
}

/** Records of a label and three planes, to pixels of three colours. The test part is small: samples that are not trained on join it. */
function cifar(): { dataset: Dataset; split: Split } {
  const record = 3 * SIDE * SIDE + 1;
  const all = Buffer.concat([read("cifar10-train-first4000.bin.gz"), read("cifar10-test-lossless150.bin.gz")]);
  const count = all.length / record;
  const data = new Float32Array(count * (record - 1));
  for (let i = 0; i < data.length; i++) {
    const [sample, pixel, plane] = [Math.floor(i / (record - 1)), Math.floor((i % (record - 1)) / 3), i % 3];
    data[i] = all[sample * record + 1 + plane * SIDE * SIDE + pixel]! / 255;
  }
  return datasetOf(
    [SIDE, SIDE, 3],
    data,
    Int32Array.from({ length: count }, (_, i) => all[i * record]!),
  );
}

const { dataset, split } = TASK === "mnist" ? mnist() : cifar();

async function learn(title: string, network: Graph, options: Partial<ClassifierOptions>): Promise<Graph> {
  const start = performance.now();
  const common = { epochs: EPOCHS, batchSize: 64, seed: SEED, schedule: { kind: "oneCycle", rate: 0.001 } } as const;
  const { network: trained } = await trainClassifier(network, dataset, split, { ...common, optimizer: { kind: "adam" }, ...options });
  const test = await evaluateOn(trained, dataset, split.test);
  const { files, compiled } = await makeArtefact(trained, { target: "wasm", id: "net" });
  const wasm = [...files].find(([name]) => name.endsWith(".wasm"))![1] as Uint8Array;
  const sizes = `wasm ${wasm.length} B, gzip ${gzipSync(wasm).length} B`;
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  const accuracy = (100 * test.accuracy).toFixed(2);
  console.log(`${title.padEnd(34)} ${accuracy} % of ${test.samples}, ${compiled.macs} MACs, ${sizes}, ${seconds} s`);
  return trained;
}

async function unstructured(): Promise<void> {
  const whole = await learn("784-800-800-10", mlp({ hidden: [800, 800], seed: SEED }), {});
  const schedule = { kind: "oneCycle", rate: 0.0005 } as const;
  const sparse = await learn("80 % of each layer 0, trained on", whole, { schedule, sparsity: { goal: 0.8 } });
  await learn("2 of 4, trained on", whole, { schedule, sparsity: { goal: { keep: 2, of: 4 }, end: 0.1 } });
  for (const { weights, zeros, of } of zerosOf(sparse)) console.log(`  ${weights}: ${zeros} of ${of} are 0`);
  console.log("Zeros bring bytes where the module is compressed, and nothing while it runs: the kernels are dense.");
}

async function channels(): Promise<void> {
  const shared: Partial<ClassifierOptions> = { augment: [flipHorizontal(), randomCrop(4)], batchSize: 32 };
  const whole = await learn("ResNet-8", resnet8({ seed: SEED }), { ...shared, schedule: { kind: "oneCycle", rate: 0.005 } });
  const pruned = pruneChannels(whole, { macs: 0.5, multiple: 4 });
  for (const { layers, channels: gone, of } of pruned.removed) console.log(`  ${layers.join(" + ")}: ${gone.length} of ${of} channels removed`);
  const { accuracy } = await evaluateOn(pruned.graph, dataset, split.test);
  console.log(`  before training on: ${(100 * accuracy).toFixed(2)} %, ${pruned.parameters.before} → ${pruned.parameters.after} parameters`);
  const schedule = { kind: "oneCycle", rate: 0.003 } as const;
  await learn("half the work, trained on", pruned.graph, { ...shared, schedule });
  await learn("ResNet-8, trained on as long", whole, { ...shared, schedule });
}

console.log(`${TASK}, ${SAMPLES} training samples, ${EPOCHS} epochs, seed ${SEED}`);
await (TASK === "mnist" ? unstructured() : channels());
