import { expect, test } from "vitest";
import { quantile } from "./interleave.ts";

test("quantiles interpolate", () => {
  expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
  expect(quantile([10, 20], 0.1)).toBeCloseTo(11);
});
