import { expect, test } from "vitest";
import { type ClientUpdate, combine, secureMean } from "./index.ts";

const SAMPLES = [10, 40, 25, 5];
const updates: ClientUpdate[] = SAMPLES.map((samples, client) => ({
  client,
  delta: Float32Array.from({ length: 30 }, (_, i) => Math.sin(client * 30 + i)),
  samples,
  steps: 1,
}));
const sequence = (...numbers: number[]): (() => number) => {
  let at = 0;
  return () => numbers[at++ % numbers.length]!;
};

test("the mean is weighted by samples, and half a step over the mean weight from the plain one at most", async () => {
  const { delta, survivors } = await secureMean(updates, { clip: 1 }, { round: 1, mostSamples: 40, random: () => 1 });
  const weights = SAMPLES.reduce((sum, samples) => sum + samples, 0) / 40;
  combine(updates, { kind: "mean" }).forEach((x, i) =>
    expect(Math.abs(delta![i]! - x)).toBeLessThanOrEqual((SAMPLES.length / weights) * (1 / 2 ** 22) + 1e-7),
  );
  expect(survivors).toBe(4);
});

// Of each client's two numbers the first says whether it leaves, the second before which message.
test.each([
  ["before sharing", [0, 0.1], 3],
  ["before sending", [0, 0.5], 3],
  ["before revealing", [0, 0.9], 4],
])("one leaves %s", async (_, [leaves, when], left) => {
  const random = sequence(leaves!, when!, 1, 1, 1);
  const { delta, survivors } = await secureMean(updates, { clip: 1, dropOut: 0.5 }, { round: 1, mostSamples: 40, random });
  expect(survivors).toBe(left);
  combine(updates.slice(4 - left), { kind: "mean" }).forEach((x, i) => expect(delta![i]).toBeCloseTo(x, 5));
});

test("two of four leave, and nothing is known", async () => {
  const { delta, survivors } = await secureMean(updates, { dropOut: 0.5 }, { round: 1, mostSamples: 40, random: sequence(0, 0.5, 0, 0.5, 1, 1) });
  expect(delta).toBeUndefined();
  expect(survivors).toBe(0);
});
