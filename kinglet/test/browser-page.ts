// What both Node and a page do in browser.test.ts.
import {
  bytesOf,
  compileGraph,
  datasetFromArrays,
  dsCnn,
  packageWasm,
  quantizeNetwork,
  splitDataset,
  trainClassifier,
  Xorshift32,
} from "../src/browser.ts";

export interface Trained {
  /** Threads that computed. */
  readonly threads: number;
  readonly losses: readonly number[];
  /** The trained constants, as the bits of their floats. */
  readonly weights: readonly number[];
  /** The quantized network as a WebAssembly module. */
  readonly module: readonly number[];
}

const SAMPLES = 20;
const SIZE = 16;

/** Trains a small network on seeded pictures, quantizes and compiles it. */
export async function trainHere(threads: number): Promise<Trained> {
  const random = new Xorshift32(7);
  const data = Float32Array.from({ length: SAMPLES * SIZE * SIZE }, () => random.float());
  const labels = Int32Array.from({ length: SAMPLES }, (_, i) => i % 3);
  const dataset = datasetFromArrays({ data, shape: [SIZE, SIZE, 1], labels, classes: ["a", "b", "c"] });
  let used = 0;
  const { network, reports } = await trainClassifier(
    dsCnn({ variant: "digits", size: [SIZE, SIZE], classes: 3, width: 0.25, seed: 3 }),
    dataset,
    splitDataset(dataset, { test: 0.2 }),
    {
      epochs: 2,
      batchSize: 8,
      optimizer: { kind: "adam" },
      schedule: { kind: "constant", rate: 0.01 },
      threads,
      onStart: (session) => {
        used = session.threads;
      },
    },
  );
  const samples = [0, 1, 2, 3].map((i) => [bytesOf(data.slice(i * SIZE * SIZE, (i + 1) * SIZE * SIZE))]);
  const { program, plan } = compileGraph(quantizeNetwork(network, samples).graph, { target: "wasm" });
  const weights = network.values.flatMap(({ data: floats }) => (floats instanceof Float32Array ? [...new Int32Array(floats.slice().buffer)] : []));
  const module = packageWasm(program, plan, "net").get("net.wasm") as Uint8Array;
  return { threads: used, losses: reports.map(({ loss }) => loss), weights, module: [...module] };
}
