import { expect, test } from "vitest";
import { Xorshift32 } from "../base/index.ts";
import type { Graph } from "../graph/index.ts";
import { dsCnn, mlp } from "../zoo/index.ts";
import { cubicSparsity, fit, type Optimizer, patternMask, type Sparsity, smallestMasks, type TrainingBatch, zerosOf } from "./index.ts";

const [BATCH, STEPS, EPOCHS] = [4, 10, 4];

/** Batches that only the epoch and their number decide. */
async function* batchesOf(epoch: number): AsyncGenerator<TrainingBatch> {
  for (let b = 0; b < STEPS; b++) {
    const random = new Xorshift32(1 + epoch * STEPS + b);
    const labels = Array.from({ length: BATCH }, () => random.int(0, 2));
    const targets = new Float32Array(BATCH * 3);
    labels.forEach((label, i) => (targets[i * 3 + label] = 1));
    const data = Float32Array.from({ length: BATCH * 16 }, (_, i) => random.float() + labels[Math.floor(i / 16)]!);
    yield { data, targets, labels, count: BATCH };
  }
}

const network = (): Graph => mlp({ inputs: 16, hidden: [21], classes: 3, batch: BATCH, seed: 2 });
const adam: Optimizer = { kind: "adam", weightDecay: 0.01, decoupled: true };

async function trained(sparsity: Sparsity, onZeros?: (zeros: number[]) => void): Promise<Graph> {
  const result = await fit(network(), {
    optimizer: adam,
    schedule: { kind: "constant", rate: 0.01 },
    epochs: EPOCHS,
    batches: batchesOf,
    batchesPerEpoch: STEPS,
    sparsity,
    onEpoch: (_, session) => onZeros?.([...session.save().variables.get("dense_1_weights")!.entries()].flatMap(([i, w]) => (w === 0 ? [i] : []))),
  });
  return result.network;
}

test("the cubic schedule has its published values", () => {
  expect([0, 0.1, 0.25, 0.5, 0.75, 1].map((progress) => Number(cubicSparsity(0, 0.8, progress).toFixed(4)))).toEqual([
    0, 0.2168, 0.4625, 0.7, 0.7875, 0.8,
  ]);
});

test("every layer has its exact share of zeros, which grows and never comes back", async () => {
  const seen: number[][] = [];
  const graph = await trained({ goal: 0.8, every: 2, end: 0.75 }, (zeros) => seen.push(zeros));
  for (const { zeros, of } of zerosOf(graph)) expect(zeros).toBe(Math.round(0.8 * of));
  const counts = seen.map(({ length }) => length);
  expect(counts[0]!).toBeGreaterThan(0);
  expect(counts[1]!).toBeGreaterThan(counts[0]!);
  expect(counts[3]).toBe(counts[2]);
  seen.slice(1).forEach((later, i) => {
    const now = new Set(later);
    expect(seen[i]!.every((at) => now.has(at))).toBe(true);
  });
});

test("the whole network has its exact share of zeros", async () => {
  const all = zerosOf(await trained({ goal: 0.7, scope: "global" }));
  const [zeros, of] = [all.reduce((sum, each) => sum + each.zeros, 0), all.reduce((sum, each) => sum + each.of, 0)];
  expect(zeros).toBe(Math.round(0.7 * of));
  expect(all[0]!.zeros).not.toBe(Math.round(0.7 * all[0]!.of));
});

test("patience never gives back a network from before the goal", async () => {
  const { network: best } = await fit(network(), {
    optimizer: adam,
    schedule: { kind: "constant", rate: 0.01 },
    epochs: EPOCHS,
    batches: batchesOf,
    batchesPerEpoch: STEPS,
    sparsity: { goal: 0.5, every: 2, end: 0.6 },
    patience: 1,
    validate: (
      (worse) => async () =>
        (worse -= 0.1)
    )(1),
  });
  for (const { zeros, of } of zerosOf(best)) expect(zeros).toBe(Math.round(0.5 * of));
});

test("two of four neighbours stay", async () => {
  const graph = await trained({ goal: { keep: 2, of: 4 } });
  const weights = graph.values.find(({ name }) => name === "dense_1_weights")!.data as Float32Array;
  for (let at = 0; at < weights.length; at += 4) expect(weights.slice(at, at + 4).filter((w) => w === 0)).toHaveLength(2);
});

test("a session that is restored goes on with the same zeros, bit for bit", async () => {
  const options = {
    optimizer: adam,
    schedule: { kind: "constant", rate: 0.01 },
    epochs: EPOCHS,
    batches: batchesOf,
    batchesPerEpoch: STEPS,
  } as const;
  const sparsity = { goal: 0.6, every: 3 };
  let state: ReturnType<import("./index.ts").TrainingSession["save"]> | undefined;
  const whole = await fit(network(), { ...options, sparsity, onEpoch: ({ epoch }, session) => void (epoch === 1 && (state = session.save())) });
  const rest = await fit(network(), { ...options, sparsity, resume: { epochs: 2, restore: (session) => session.restore(state!) } });
  expect(rest.network.values.map(({ data }) => data)).toEqual(whole.network.values.map(({ data }) => data));
});

test("the smallest go, of equal ones the first, and rests of rows stay", () => {
  expect(smallestMasks([Float32Array.of(3, -1, 1, 2), Float32Array.of(-1, 0.5)], 3).map((mask) => [...mask])).toEqual([
    [1, 0, 0, 1],
    [1, 0],
  ]);
  expect(smallestMasks([Float32Array.of(1, 2)], 0)[0]).toEqual(Uint8Array.of(1, 1));
  expect([...patternMask(Float32Array.of(1, -4, 3, 2, 9, 8, 5, 6, 7, 1), 5, 2, 4)]).toEqual([0, 1, 1, 0, 1, 1, 0, 0, 1, 1]);
});

test("depthwise layers have no neighbours along their reduction", async () => {
  const graph = dsCnn({ variant: "digits", size: [4, 4], batch: BATCH, classes: 3, width: 0.25 });
  const { network: pruned } = await fit(graph, {
    optimizer: { kind: "sgd" },
    schedule: { kind: "constant", rate: 0.01 },
    epochs: 1,
    batches: batchesOf,
    batchesPerEpoch: STEPS,
    sparsity: { goal: { keep: 2, of: 4 } },
  });
  for (const { weights, zeros, of } of zerosOf(pruned))
    expect(zeros, weights).toBe(weights.startsWith("depthwise") || weights === "conv_weights" ? 0 : of / 2);
});

test.each([
  [{ goal: 1 }, /sparsity of 1/],
  [{ goal: { keep: 5, of: 4 } }, /5 of 4/],
  [{ goal: 0.5, begin: 0.6 }, /no ramp/],
  [{ goal: 0.5, layers: () => false }, /no weights that could be pruned/],
] as const)("options that make no sense are refused: %j", async (sparsity, message) => {
  await expect(trained(sparsity)).rejects.toThrow(message);
});
