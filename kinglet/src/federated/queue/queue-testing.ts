import { Xorshift32 } from "../../base/index.ts";
import { Dataset, datasetFromArrays } from "../../data/index.ts";
import { mlp } from "../../zoo/index.ts";
import { partition } from "../partition.ts";
import { STRATEGIES } from "../strategy.ts";
import type { SimulationPlan, SimulationTask } from "./task.ts";

const [SAMPLES, INPUTS, TEST] = [120, 6, 30];
const CLASSES = ["a", "b", "c"];

/** Clouds of points, one for each class. */
export function clouds(seed: number): Dataset {
  const random = new Xorshift32(seed);
  const labels = Array.from({ length: SAMPLES }, (_, i) => i % CLASSES.length);
  const data = Float32Array.from({ length: SAMPLES * INPUTS }, (_, i) => {
    const label = labels[Math.floor(i / INPUTS)]!;
    return 0.6 * random.float() + (i % CLASSES.length === label ? 1 : 0);
  });
  return datasetFromArrays({ data, shape: [INPUTS], labels, classes: CLASSES });
}

/** The same, but reading takes a while, and is told. */
export function slowClouds(seed: number, ms: number, onRead: () => void = () => {}): Dataset {
  const dataset = clouds(seed);
  const read = async (first: number, count: number, into: Uint8Array): Promise<void> => {
    onRead();
    await new Promise((done) => setTimeout(done, ms));
    const samples = await dataset.read(Int32Array.from({ length: count }, (_, i) => first + i));
    into.set(new Uint8Array(samples.buffer));
  };
  return new Dataset(dataset.info, dataset.index, { read, close: async () => {} });
}

/** A small simulation on them. */
export function tinyTask(dataset: Dataset, more: Partial<SimulationPlan> = {}): SimulationTask {
  const { labels, groups } = dataset.index;
  const positions = Int32Array.from({ length: SAMPLES - TEST }, (_, i) => i);
  return {
    network: mlp({ inputs: INPUTS, hidden: [8], classes: CLASSES.length }),
    clients: partition({ positions, labels, groups }, { kind: "iid", clients: 10 }),
    test: Int32Array.from({ length: TEST }, (_, i) => SAMPLES - TEST + i),
    plan: {
      strategy: STRATEGIES.fedavg,
      local: { optimizer: { kind: "sgd", momentum: 0 }, epochs: 1, batchSize: 4, rate: 0.1 },
      augmentation: {},
      rounds: 3,
      share: 0.6,
      ...more,
    },
  };
}
