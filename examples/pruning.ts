// What pruning costs and brings: 80 % of a dense network's weights on MNIST, and half of ResNet-8's work on CIFAR-10.
//     npx tsx examples/pruning.ts /path/to/pictures mnist|cifar [--seed N] [--epochs N]
import { gzipSync } from "node:zlib";
import {
  type ClassifierOptions,
  type Dataset,
  evaluateOn,
  flipHorizontal,
  type Graph,
  makeArtefact,
  mlp,
  pruneChannels,
  randomCrop,
  resnet8,
  type Split,
  splitDataset,
  trainClassifier,
  zerosOf,
} from "kinglet";
import { taskArguments, withImported } from "./shared/accuracy.ts";
import { CIFAR, MNIST } from "./shared/pictures.ts";

const TASK = process.argv.includes("cifar") ? CIFAR : MNIST;
const { data, seeds, epochs } = taskArguments({ epochs: TASK === CIFAR ? 30 : 8, places: TASK.places });
const [seed] = seeds as [number];

type Learn = (title: string, network: Graph, options: Partial<ClassifierOptions>) => Promise<Graph>;

/** Trains, judges, compiles and prints a line. */
function learner(dataset: Dataset, split: Split): Learn {
  return async (title, network, options) => {
    const start = performance.now();
    const common = { epochs, batchSize: 64, seed, schedule: { kind: "oneCycle", rate: 0.001 }, optimizer: { kind: "adam" } } as const;
    const { network: trained } = await trainClassifier(network, dataset, split, { ...common, ...options });
    const { accuracy, samples } = await evaluateOn(trained, dataset, split.test);
    const { files, compiled } = await makeArtefact(trained, { target: "wasm", id: "net" });
    const wasm = [...files].find(([name]) => name.endsWith(".wasm"))![1] as Uint8Array;
    const sizes = `wasm ${wasm.length} B, gzip ${gzipSync(wasm).length} B`;
    const seconds = ((performance.now() - start) / 1000).toFixed(0);
    console.log(`${title.padEnd(34)} ${(100 * accuracy).toFixed(2)} % of ${samples}, ${compiled.macs} MACs, ${sizes}, ${seconds} s`);
    return trained;
  };
}

async function unstructured(learn: Learn): Promise<void> {
  const whole = await learn("784-800-800-10", mlp({ hidden: [800, 800], seed }), {});
  const schedule = { kind: "oneCycle", rate: 0.0005 } as const;
  const sparse = await learn("80 % of each layer 0, trained on", whole, { schedule, sparsity: { goal: 0.8 } });
  await learn("2 of 4, trained on", whole, { schedule, sparsity: { goal: { keep: 2, of: 4 }, end: 0.1 } });
  for (const { weights, zeros, of } of zerosOf(sparse)) console.log(`  ${weights}: ${zeros} of ${of} are 0`);
  console.log("Zeros bring bytes where the module is compressed, and nothing while it runs: the kernels are dense.");
}

async function channels(learn: Learn, dataset: Dataset, split: Split): Promise<void> {
  const shared: Partial<ClassifierOptions> = { augment: [flipHorizontal(), randomCrop(4)], batchSize: 32 };
  const whole = await learn("ResNet-8", resnet8({ seed }), { ...shared, schedule: { kind: "oneCycle", rate: 0.005 } });
  const pruned = pruneChannels(whole, { macs: 0.5, multiple: 4 });
  for (const { layers, channels: gone, of } of pruned.removed) console.log(`  ${layers.join(" + ")}: ${gone.length} of ${of} channels removed`);
  const { accuracy } = await evaluateOn(pruned.graph, dataset, split.test);
  console.log(`  before training on: ${(100 * accuracy).toFixed(2)} %, ${pruned.parameters.before} → ${pruned.parameters.after} parameters`);
  const schedule = { kind: "oneCycle", rate: 0.003 } as const;
  await learn("half the work, taught by the whole", pruned.graph, { ...shared, schedule, distill: { teacher: whole } });
  await learn("ResNet-8, trained on as long", whole, { ...shared, schedule });
}

await withImported(data, TASK.importing, async (dataset) => {
  const split = splitDataset(dataset, { test: 0.2 });
  console.log(`${split.train.length} learned, ${split.test.length} judged, ${epochs} epochs, seed ${seed}`);
  const learn = learner(dataset, split);
  await (TASK === CIFAR ? channels(learn, dataset, split) : unstructured(learn));
});
