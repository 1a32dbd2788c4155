import { expect, test } from "vitest";
import { privacyLoss } from "./index.ts";

// Abadi et al. 2016 print 1.26 for the first, TensorFlow Privacy's tutorial 1.18 for the second.
test.each([
  [{ share: 0.01, noise: 4 }, 10_000, 1.2586, 20, 1.0355],
  [{ share: 250 / 60_000, noise: 1.3 }, 3600, 1.18, 17, 0.9422],
])("known costs: %o, %i rounds", (mechanism, rounds, epsilon, order, tight) => {
  const loss = privacyLoss(mechanism, rounds, 1e-5, "mironov");
  expect(loss.epsilon).toBeCloseTo(epsilon, 3);
  expect(loss.order).toBe(order);
  expect(privacyLoss(mechanism, rounds, 1e-5).epsilon).toBeCloseTo(tight, 3);
});

test("more rounds, more clients and less noise cost more; no noise has no bound", () => {
  const cost = (share: number, noise: number, rounds: number): number => privacyLoss({ share, noise }, rounds, 1e-5).epsilon;
  expect(cost(0.1, 1, 20)).toBeGreaterThan(cost(0.1, 1, 10));
  expect(cost(0.2, 1, 10)).toBeGreaterThan(cost(0.1, 1, 10));
  expect(cost(0.1, 1, 10)).toBeGreaterThan(cost(0.1, 2, 10));
  expect(cost(1, 1, 10)).toBeGreaterThan(cost(0.99, 1, 10));
  expect(cost(0.1, 0, 1)).toBe(Number.POSITIVE_INFINITY);
  expect(cost(0.1, 1, 0)).toBe(0);
  expect(() => cost(1.1, 1, 1)).toThrow(/share/);
  expect(() => privacyLoss({ share: 0.1, noise: 1 }, 1, 0)).toThrow(/δ/);
});
