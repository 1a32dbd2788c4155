import { expect, test } from "vitest";
import { Xorshift32 } from "../base/index.ts";
import { datasetFromArrays } from "../data/index.ts";
import { mlp } from "../zoo/index.ts";
import { type LocalTraining, ownSamples, personalAccuracy, personalise, simulate, STRATEGIES } from "./index.ts";

const [SAMPLES, INPUTS, CLASSES, PEOPLE] = [240, 6, 3, 4];

/** Three clouds of points; the last person has other names for them. */
const labels = Array.from({ length: SAMPLES }, (_, i) => i % CLASSES);
const person = (i: number): number => Math.floor(i / (SAMPLES / PEOPLE));
const random = new Xorshift32(5);
const dataset = datasetFromArrays({
  data: Float32Array.from({ length: SAMPLES * INPUTS }, (_, i) => 0.6 * random.float() + (i % CLASSES === labels[Math.floor(i / INPUTS)] ? 1 : 0)),
  shape: [INPUTS],
  labels: labels.map((label, i) => (person(i) === PEOPLE - 1 ? (label + 1) % CLASSES : label)),
  classes: ["a", "b", "c"],
});
const people = Array.from({ length: PEOPLE }, (_, k) => Int32Array.from({ length: SAMPLES }, (_x, i) => i).filter((i) => person(i) === k));
const LOCAL: LocalTraining = { optimizer: { kind: "sgd", momentum: 0 }, epochs: 2, batchSize: 8, rate: 0.1 };

test("a head of its own serves who differs, and everything before it stays common", async () => {
  const { network } = await simulate(mlp({ inputs: INPUTS, hidden: [8], classes: CLASSES }), dataset, people.slice(0, 3), {
    strategy: STRATEGIES.fedavg,
    local: LOCAL,
    rounds: 15,
    share: 1,
    test: people[0]!,
  });
  const own = people.map((positions) => ownSamples(dataset, positions, 0.5));
  const reports = await personalise(network, dataset, own, { ...LOCAL, epochs: 60 });
  expect(reports.map(({ samples }) => samples)).toEqual([30, 30, 30, 30]);
  const other = reports[3]!;
  expect(other.before).toBeLessThan(0.2);
  expect(other.after).toBeGreaterThan(0.9);
  expect(personalAccuracy(reports).after).toBeGreaterThan(personalAccuracy(reports).before);
  const changed = network.values.filter((value, i) => value.data !== undefined && `${value.data}` !== `${other.network.values[i]!.data}`);
  expect(changed.map(({ shape }) => shape.at(-1)).sort()).toEqual([CLASSES, 8].sort());
});

test("samples are cut class by class in their order, and windows that overlap do not lie on both sides", () => {
  const windows = datasetFromArrays({
    data: new Float32Array(12 * 4),
    shape: [4, 1],
    labels: [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1],
    classes: ["a", "b"],
  });
  // One recording of each class; windows of four steps begin every second step.
  windows.index.recordings.set([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
  windows.index.starts.set([0, 2, 4, 6, 8, 10, 0, 2, 4, 6, 8, 10]);
  const all = Int32Array.from({ length: 12 }, (_, i) => i);
  const { learned, judged } = ownSamples(windows, all, 0.5);
  expect([...learned]).toEqual([0, 1, 6, 7]);
  expect([...judged]).toEqual([3, 4, 5, 9, 10, 11]);
  // Apart where they come from different recordings.
  windows.index.recordings.set([0, 0, 0, 2, 2, 2]);
  expect([...ownSamples(windows, all.slice(0, 6), 0.5).learned]).toEqual([0, 1, 2]);
  expect(() => ownSamples(windows, all, 1)).toThrow(/between 0 and 1/);
});
