import { describe, expect, test } from "vitest";
import {
  batchCount,
  batches,
  datasetFromArrays,
  type Dataset,
  epochOrder,
  fixedNormalization,
  kFolds,
  leaveOneGroupOut,
  measureNormalization,
  normalize,
  splitDataset,
} from "./index.ts";

/** `n` samples [1,2] in two classes (3 to 1), six groups, values that tell the position. */
function sample(n: number, extra: { parts?: number[]; recordings?: (i: number) => number } = {}): Dataset {
  const positions = Array.from({ length: n }, (_, i) => i);
  const dataset = datasetFromArrays({
    data: Float32Array.from({ length: 2 * n }, (_, i) => i),
    shape: [1, 2],
    labels: positions.map((i) => (i % 4 === 0 ? 1 : 0)),
    classes: ["often", "seldom"],
    groups: positions.map((i) => i % 6),
    groupNames: ["a", "b", "c", "d", "e", "f"],
    ...(extra.parts === undefined ? {} : { parts: extra.parts }),
  });
  if (extra.recordings !== undefined) for (const i of positions) dataset.index.recordings[i] = extra.recordings(i);
  return dataset;
}

const share = (dataset: Dataset, positions: Int32Array): number => positions.filter((i) => dataset.index.labels[i] === 1).length / positions.length;

describe("split", () => {
  test("by class keeps the shares of classes, and every sample is in one part", () => {
    const dataset = sample(200);
    const { train, validation, test: held } = splitDataset(dataset, { test: 0.2, validation: 0.1, seed: 7 });
    expect([train.length, validation.length, held.length]).toEqual([140, 20, 40]);
    for (const part of [train, validation, held]) expect(share(dataset, part)).toBe(0.25);
    expect([...train, ...validation, ...held].sort((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, i) => i));
    expect(splitDataset(dataset, { seed: 7 })).toEqual(splitDataset(dataset, { seed: 7 }));
    expect(splitDataset(dataset, { seed: 7 }).test).not.toEqual(splitDataset(dataset, { seed: 8 }).test);
  });

  test("the seed means the same on every platform", () => {
    expect([...splitDataset(sample(20), { seed: 3 }).test]).toMatchInlineSnapshot(`
      [
        5,
        6,
        16,
        19,
      ]
    `);
    expect([...epochOrder(Int32Array.of(0, 1, 2, 3, 4, 5, 6, 7), 1, 0)]).toMatchInlineSnapshot(`
      [
        6,
        1,
        3,
        2,
        4,
        7,
        0,
        5,
      ]
    `);
  });

  test("by group never tears a group apart", () => {
    const dataset = sample(120);
    const { train, test: held } = splitDataset(dataset, { by: "group", test: 0.3 });
    const groups = (positions: Int32Array) => new Set(positions.map((i) => dataset.index.groups[i]!));
    expect([...groups(train)].filter((group) => groups(held).has(group))).toEqual([]);
    expect(held.length).toBe(40);
  });

  test("windows of a recording stay together; one recording of a class is cut in time without overlap", () => {
    const together = sample(80, { recordings: (i) => Math.floor(i / 8) * 2 + (i % 4 === 0 ? 1 : 0) });
    const { train, test: held } = splitDataset(together);
    const recordings = (positions: Int32Array) => new Set(positions.map((i) => together.index.recordings[i]!));
    expect([...recordings(train)].some((each) => recordings(held).has(each))).toBe(false);
    const long = datasetFromArrays({ data: new Float32Array(100), shape: [10, 1], labels: new Int32Array(10), classes: ["x"] });
    for (let i = 0; i < 10; i++) [long.index.recordings[i], long.index.starts[i]] = [0, 5 * i];
    const cut = splitDataset(long);
    expect([...cut.train]).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect([...cut.test]).toEqual([9]);
  });

  test("a fixed test part stays, and folds test every sample once", () => {
    const parts = Array.from({ length: 40 }, (_, i) => (i < 10 ? 1 : 0));
    expect([...splitDataset(sample(40, { parts })).test]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const dataset = sample(60);
    const folds = kFolds(dataset, 5);
    expect(folds.flatMap((fold) => [...fold.test]).sort((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, i) => i));
    for (const fold of folds) expect(share(dataset, fold.test)).toBe(0.25);
    const left = leaveOneGroupOut(dataset);
    expect(left.map((fold) => fold.name)).toEqual(["a", "b", "c", "d", "e", "f"]);
    expect(left.every((fold) => fold.test.length === 10 && fold.train.length === 50)).toBe(true);
  });

  test("impossible wishes are refused", () => {
    expect(() => splitDataset(sample(10), { test: 1 })).toThrow(/nothing to train on/);
    expect(() => kFolds(sample(10), 11)).toThrow(/cannot be made/);
    expect(() => leaveOneGroupOut(datasetFromArrays({ data: new Float32Array(2), shape: [1, 1], labels: [0, 0], classes: ["a"] }))).toThrow(
      /without a group/,
    );
  });
});

describe("batches", () => {
  const all = Int32Array.from({ length: 10 }, (_, i) => i);
  const collect = async (options: Parameters<typeof batches>[2]) => {
    const out = [];
    for await (const batch of batches(sample(10), all, options)) out.push(batch);
    return out;
  };

  test("the last one is filled up with weight 0, or dropped", async () => {
    const padded = await collect({ batchSize: 4, oneHot: true });
    expect(padded.map(({ count }) => count)).toEqual([4, 4, 2]);
    expect([...padded[2]!.weights]).toEqual([1, 1, 0, 0]);
    expect([...padded[2]!.positions.subarray(2), ...padded[2]!.data.subarray(4), ...padded[2]!.targets!.subarray(4)]).toEqual([
      -1, -1, 0, 0, 0, 0, 0, 0, 0, 0,
    ]);
    expect(await collect({ batchSize: 4, last: "drop" })).toHaveLength(2);
    expect([batchCount(10, { batchSize: 4 }), batchCount(10, { batchSize: 4, last: "drop" })]).toEqual([3, 2]);
  });

  test("rows, labels and targets belong together in any order", async () => {
    for (const batch of await collect({ batchSize: 3, oneHot: true, epoch: 5 }))
      for (let i = 0; i < batch.count; i++) {
        const position = batch.positions[i]!;
        expect([...batch.data.subarray(2 * i, 2 * i + 2)]).toEqual([2 * position, 2 * position + 1]);
        expect(batch.labels[i]).toBe(position % 4 === 0 ? 1 : 0);
        expect(batch.targets![2 * i + batch.labels[i]!]).toBe(1);
      }
  });

  test("epochs differ, equal ones do not, and augmentation depends on the place only", async () => {
    const order = async (epoch: number) => (await collect({ batchSize: 10, epoch }))[0]!.positions;
    expect(await order(0)).toEqual(await order(0));
    expect(await order(0)).not.toEqual(await order(1));
    const add = (values: Float32Array, _shape: unknown, random: { float(): number }) => values.map((value) => value + random.float());
    const [one] = await collect({ batchSize: 10, augment: [add], shuffle: false });
    const [three] = await collect({ batchSize: 3, augment: [add], shuffle: false });
    expect(three!.data).toEqual(one!.data.subarray(0, 6));
  });

  test("normalization is measured as the textbook says", async () => {
    const { mean, std } = await measureNormalization(sample(10), all);
    expect(mean).toEqual([9, 10]);
    expect(std[0]).toBeCloseTo(Math.sqrt(33), 12);
    expect((await measureNormalization(sample(10), all, "all")).mean[0]).toBeCloseTo(9.5, 12);
    const values = Float32Array.of(1, 2);
    normalize(values, 2, fixedNormalization(2, 1));
    expect([...values]).toEqual([0, 0.5]);
    expect(() => normalize(values, 2, { mean: [1, 2, 3], std: [1, 1, 1] })).toThrow(/does not fit/);
  });
});
