import { expect, test } from "vitest";
import { datasetFromArrays, withSamples } from "../data/index.ts";
import { GraphBuilder } from "../graph/index.ts";
import { applyOp } from "../ops/index.ts";
import { mapDataset } from "./index.ts";

/** Doubles four numbers and arranges them as two pairs. */
function doubled(size: number): ReturnType<GraphBuilder["build"]> {
  const b = new GraphBuilder("doubled");
  const x = b.input("x", { dtype: "float32", shape: [1, size] });
  const sum = applyOp(b, "add", [x, x], { activation: "none" }, "sum")[0]!;
  b.output(applyOp(b, "reshape", [sum], { shape: [1, 2, size / 2] }, "pairs")[0]!);
  return b.build();
}

const recorded = datasetFromArrays({
  data: Int16Array.of(2, 4, 6, 8, -2, 0, 1, 3),
  shape: [4, 1],
  labels: [1, 0],
  classes: ["a", "b"],
  groups: [0, 1],
  groupNames: ["ann", "bob"],
  parts: [0, 1],
  fullScale: 2,
});

test("a data set of features has the samples' labels, groups and parts, in units of the full scale", async () => {
  const features = await mapDataset(recorded, doubled(4));
  expect([...(await features.read([1, 0]))]).toEqual([-2, 0, 1, 3, 2, 4, 6, 8]);
  expect(features.info).toMatchObject({ shape: [2, 2], dtype: "float32", fullScale: 1, samples: 2, classes: ["a", "b"], groups: ["ann", "bob"] });
  expect(features.index).toBe(recorded.index);
});

test("samples that do not fit are refused", async () => {
  await expect(mapDataset(recorded, doubled(6))).rejects.toThrow(/do not fit/);
  expect(() => withSamples(recorded, [2], new Float32Array(5))).toThrow(/5 numbers are not 2 samples of 2/);
});
