import { expect, test } from "vitest";
import { Xorshift32 } from "../base/index.ts";
import { datasetFromArrays } from "../data/index.ts";
import { mlp } from "../zoo/index.ts";
import { betaShare, mixedUp, trainClassifier } from "./index.ts";

test.each([0.2, 1, 3])("shares have mean and variance of Beta(%d, %d)", (alpha) => {
  const random = new Xorshift32(5);
  const shares = Array.from({ length: 4000 }, () => betaShare(alpha, random));
  const mean = shares.reduce((sum, x) => sum + x, 0) / shares.length;
  const variance = shares.reduce((sum, x) => sum + (x - mean) ** 2, 0) / shares.length;
  expect(Math.abs(mean - 0.5)).toBeLessThan(0.03);
  expect(Math.abs(variance - 1 / (4 * (2 * alpha + 1)))).toBeLessThan(0.01);
});

test("samples and targets are mixed with the same share of the same other sample", () => {
  const data = Float32Array.of(1, 1, 10, 10, 100, 100);
  const targets = Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1);
  const mixed = mixedUp({ data, targets, labels: [0, 1, 2], count: 3 }, 1, new Xorshift32(3));
  for (const i of [0, 1, 2]) {
    const shares = [...mixed.targets!.slice(i * 3, i * 3 + 3)];
    expect(shares.reduce((a, b) => a + b)).toBeCloseTo(1, 6);
    expect(shares[i]).toBeGreaterThanOrEqual(0.5);
    const expected = shares[0]! + 10 * shares[1]! + 100 * shares[2]!;
    for (const x of mixed.data.slice(i * 2, i * 2 + 2)) expect(Math.abs(x - expected)).toBeLessThan(1e-3);
  }
  expect(mixed.data).not.toEqual(data);
});

test("a training with mixup is the same each time, another than without, and refuses a share that makes no sense", async () => {
  const random = new Xorshift32(2);
  const labels = Int32Array.from({ length: 40 }, (_, i) => i % 2);
  const data = Float32Array.from({ length: 160 }, (_, i) => random.float() + labels[Math.floor(i / 4)]!);
  const dataset = datasetFromArrays({ shape: [4], data, labels, classes: ["low", "high"] });
  const split = { train: Int32Array.from(labels, (_, i) => i), validation: new Int32Array(0), test: new Int32Array(0) };
  const train = (mixup?: number): ReturnType<typeof trainClassifier> =>
    trainClassifier(mlp({ inputs: 4, hidden: [5], classes: 2 }), dataset, split, {
      epochs: 3,
      batchSize: 8,
      optimizer: { kind: "adam" },
      schedule: { kind: "constant", rate: 0.01 },
      ...(mixup === undefined ? {} : { mixup }),
    });
  const losses = async (mixup?: number): Promise<number[]> => (await train(mixup)).reports.map(({ loss }) => loss);
  expect(await losses(0.4)).toEqual(await losses(0.4));
  expect(await losses(0.4)).not.toEqual(await losses());
  await expect(train(9)).rejects.toThrow(/alpha is 9/);
});
