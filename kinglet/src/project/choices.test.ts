import { expect, test } from "vitest";
import { datasetFromArrays } from "../data/index.ts";
import { trainClassifier } from "../train/index.ts";
import { mlp } from "../zoo/index.ts";
import { choicesFor } from "./choices.ts";

const dataset = datasetFromArrays({
  shape: [4, 1],
  data: Float32Array.from({ length: 40 }, (_, i) => Math.sin(i)),
  labels: [0, 0, 0, 0, 0, 0, 1, 1, 2, 2],
  classes: ["often", "seldom", "rare"],
});
const split = { train: Int32Array.from({ length: 9 }, (_, i) => i), validation: new Int32Array(0), test: Int32Array.of(9) };
const network = mlp({ inputs: 4, hidden: [3, 3], classes: 3 });

test("balanced classes count alike in the training part", () => {
  const { classWeights } = choicesFor({ classWeights: "balanced" }, network, dataset, split);
  const sums = [6, 2, 1].map((count, c) => count * classWeights![c]!);
  for (const sum of sums) expect(sum).toBeCloseTo(3);
});

test("classes are weighted by their names", () => {
  expect(choicesFor({ classWeights: { rare: 4 } }, network, dataset, split).classWeights).toEqual([1, 1, 4]);
  expect(() => choicesFor({ classWeights: { rar: 4 } }, network, dataset, split)).toThrow(/names "rar", which is no class/);
});

test("frozen layers keep their weights, all others move", async () => {
  const layer = network.nodes.find(({ op }) => op === "fullyConnected")!;
  const choices = choicesFor({ freeze: [`${layer.name}*`] }, network, dataset, split);
  const { network: trained } = await trainClassifier(network, dataset, split, {
    ...choices,
    epochs: 1,
    batchSize: 3,
    optimizer: { kind: "sgd" },
    schedule: { kind: "constant", rate: 0.1 },
  });
  const moved = trained.values.filter(
    ({ name, data }) => data !== undefined && String(data) !== String(network.values.find((v) => v.name === name)!.data),
  );
  const own = layer.inputs.slice(1).map((value) => value!.name);
  expect(moved.map(({ name }) => name).filter((name) => own.includes(name))).toEqual([]);
  expect(moved.length).toBeGreaterThan(0);
  expect(() => choicesFor({ freeze: ["nobody"] }, network, dataset, split)).toThrow(/no such layer/);
});
