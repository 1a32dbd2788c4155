// `npm run bench:federated -- DATA [--json] [ROW…]`: the rows of McMahan et al. 2017 on MNIST (its four idx files, packed or not, in DATA),
// and what rules do against clients that turn their updates round.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { importData, openDataset, splitDataset, type Dataset } from "../kinglet/src/data/index.ts";
import { type Combination, type Partition, partition, simulate, type SimulationOptions } from "../kinglet/src/federated/index.ts";
import type { Graph } from "../kinglet/src/graph/index.ts";
import { fedAvgCnn, mlp } from "../kinglet/src/zoo/index.ts";
import { figure, terminal } from "./table.ts";

const PIXELS = 784;
const CLIENTS = 100;
const IID: Partition = { kind: "iid", clients: CLIENTS };
const TWO_LABELS: Partition = { kind: "label", clients: CLIENTS, perClient: 2 };

interface Row {
  readonly name: string;
  readonly make: () => Graph;
  readonly split: Partition;
  readonly epochs: number;
  readonly rate: number;
  readonly share: number;
  /** The accuracy to reach. */
  readonly goal: number;
  /** Rounds in which the paper reaches it, or that are tried. */
  readonly rounds: number;
  readonly combination?: Combination;
  /** Share of clients that send the opposite of what they learned, many times over. */
  readonly attackers?: number;
}

const twoLayers = (): Graph => mlp({ inputs: PIXELS, hidden: [200, 200], classes: 10 });
const TWO_NN = { make: twoLayers, epochs: 1, rate: 0.2, share: 0.1 } as const;
const ATTACK = { ...TWO_NN, rate: 0.1, split: IID, share: 0.2, goal: 0.95, rounds: 30, attackers: 0.2 } as const;

const ROWS: readonly Row[] = [
  { ...TWO_NN, name: "2nn-iid", split: IID, goal: 0.97, rounds: 87 },
  { ...TWO_NN, name: "2nn-labels", split: TWO_LABELS, rate: 0.1, goal: 0.97, rounds: 664 },
  { name: "cnn-iid", make: fedAvgCnn, split: IID, epochs: 5, rate: 0.1, share: 0.1, goal: 0.99, rounds: 20 },
  { ...ATTACK, name: "attacked-mean", combination: { kind: "mean" } },
  { ...ATTACK, name: "attacked-median", combination: { kind: "median" } },
  { ...ATTACK, name: "attacked-trimmed", combination: { kind: "trimmedMean", cut: 0.3 } },
  { ...ATTACK, name: "attacked-krum", combination: { kind: "krum", bad: 6, keep: 10 } },
];

interface Result {
  readonly name: string;
  readonly goal: number;
  /** Rounds to the goal, or null where they did not suffice. */
  readonly reached: number | null;
  readonly rounds: number;
  readonly best: number;
  readonly last: number;
  readonly seconds: number;
}

function optionsOf({ epochs, rate, share, rounds, goal, combination, attackers }: Row, test: Int32Array): SimulationOptions {
  const flip: SimulationOptions["tamper"] = (update) =>
    update.client < CLIENTS * attackers! ? { ...update, delta: update.delta.map((x) => -5 * x) } : update;
  return {
    strategy: { combination: combination ?? { kind: "mean" }, server: { kind: "average" } },
    local: { optimizer: { kind: "sgd", momentum: 0 }, epochs, batchSize: 10, rate },
    rounds,
    share,
    test,
    ...(attackers === undefined ? { until: goal } : { tamper: flip }),
  };
}

async function measure(row: Row, dataset: Dataset): Promise<Result> {
  const split = splitDataset(dataset, { validation: 0 });
  const { labels, groups } = dataset.index;
  const clients = partition({ positions: split.train, labels, groups }, row.split);
  const start = performance.now();
  const { reports } = await simulate(row.make(), dataset, clients, {
    ...optionsOf(row, split.test),
    onRound: ({ round, accuracy }) => {
      if (process.stderr.isTTY) process.stderr.write(`\r${row.name}: round ${round}, ${(100 * accuracy).toFixed(2)} %   `);
    },
  });
  const seconds = (performance.now() - start) / 1000;
  const at = reports.findIndex(({ best }) => best >= row.goal);
  const last = reports.at(-1)!;
  return { name: row.name, goal: row.goal, reached: at < 0 ? null : at + 1, rounds: reports.length, best: last.best, last: last.accuracy, seconds };
}

function print(results: readonly Result[]): void {
  const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;
  const titles = ["row", "goal", "reached in round", "rounds", "best", "last", "seconds"];
  const rows = results.map((r) => [
    r.name,
    percent(r.goal),
    r.reached === null ? "not" : String(r.reached),
    String(r.rounds),
    percent(r.best),
    percent(r.last),
    figure(Math.round(r.seconds)),
  ]);
  console.log(terminal({ titles, rows }));
}

const args = process.argv.slice(2);
const [data, ...wanted] = args.filter((arg) => !arg.startsWith("-"));
if (data === undefined) throw new Error("usage: npm run bench:federated -- DATA [--json] [ROW…]; DATA holds MNIST's idx files");
const unknown = wanted.filter((name) => !ROWS.some((row) => row.name === name));
if (unknown.length > 0) throw new Error(`no row ${unknown.join(", ")}; there are ${ROWS.map(({ name }) => name).join(", ")}`);
const folder = await mkdtemp(join(tmpdir(), "kinglet-federated-"));
try {
  await importData([data], join(folder, "data"), { only: "*images-idx3*" });
  const dataset = await openDataset(join(folder, "data"));
  const results: Result[] = [];
  for (const row of ROWS.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) results.push(await measure(row, dataset));
  await dataset.close();
  if (args.includes("--json")) console.log(JSON.stringify(results, null, 2));
  else print(results);
} finally {
  await rm(folder, { recursive: true, force: true });
}
