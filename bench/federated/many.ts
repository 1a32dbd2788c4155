import { readFileSync } from "node:fs";
import { type Dataset, splitDataset } from "../../kinglet/src/data/index.ts";
import { ClientFile, partition, simulate, STRATEGIES } from "../../kinglet/src/federated/index.ts";
import { twoLayers } from "./mnist.ts";
import { progress, type Result, type Row, withMnist } from "./row.ts";

const CLIENTS = 10_000;
/** A thousand clients in each round: SCAFFOLD's control variates of all that come are 0.8 MB each. */
const SHARE = 0.1;
const ROUNDS = 2;
const MOST_BYTES = 1.5e9;

/** The most that this process has had in memory since it began. */
function peakBytes(): number {
  const mark = /VmHWM:\s*(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  if (mark === undefined) throw new Error("this system does not say how much memory a process has had");
  return 1024 * Number(mark);
}

async function peakOf(dataset: Dataset, name: "fedavg" | "scaffold"): Promise<number> {
  const { train, test } = splitDataset(dataset, { validation: 0 });
  const { labels, groups } = dataset.index;
  const memories = await ClientFile.open();
  try {
    await simulate(twoLayers(), dataset, partition({ positions: train, labels, groups }, { kind: "iid", clients: CLIENTS }), {
      strategy: STRATEGIES[name],
      local: { optimizer: { kind: "sgd", momentum: 0 }, epochs: 1, batchSize: 10, rate: 0.1 },
      rounds: ROUNDS,
      share: SHARE,
      memories,
      test,
      onRound: ({ round, clients, accuracy, seconds }) =>
        progress(`many, ${name}: round ${round}, ${clients} clients, ${accuracy.toFixed(4)} right, ${seconds.toFixed(0)} s, ${peakBytes()} bytes`),
    });
  } finally {
    await memories.close();
  }
  return peakBytes();
}

async function measure(dataset: Dataset): Promise<Result> {
  const fedavg = await peakOf(dataset, "fedavg");
  const scaffold = await peakOf(dataset, "scaffold");
  const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;
  return {
    goal: `below ${megabytes(MOST_BYTES)}`,
    got: `${megabytes(fedavg)}, SCAFFOLD ${megabytes(scaffold)}`,
    met: scaffold < MOST_BYTES,
    figures: { fedavg, scaffold },
  };
}

/** The memory that ten thousand clients with 199,210 parameters take. Other rows before it in one process would count, too: it comes first. */
export const MANY_ROW: Row = { name: "many", measure: async (data) => await withMnist(data, measure) };
