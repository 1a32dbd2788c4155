import { describe, expect, test } from "vitest";
import { rateAt } from "./schedule.ts";

describe("learning rates", () => {
  test("a cosine starts at the rate, is half of it in the middle and ends at the final one", () => {
    const cosine = { kind: "cosine", rate: 0.2, final: 0.02 } as const;
    expect(rateAt(cosine, 0, 100)).toBeCloseTo(0.2, 12);
    expect(rateAt(cosine, 50, 100)).toBeCloseTo(0.11, 12);
    expect(rateAt(cosine, 100, 100)).toBeCloseTo(0.02, 12);
  });

  test("warm-up rises in a straight line", () => {
    const warm = { kind: "constant", rate: 1, warmup: 4 } as const;
    expect([0, 1, 2, 3, 4, 50].map((step) => rateAt(warm, step, 100))).toEqual([0.25, 0.5, 0.75, 1, 1, 1]);
  });

  test("steps multiply", () => {
    const steps = { kind: "step", rate: 1, at: [0.5, 0.75], factor: 0.5 } as const;
    expect([0, 49, 50, 74, 75, 99].map((step) => rateAt(steps, step, 100))).toEqual([1, 1, 0.5, 0.5, 0.25, 0.25]);
  });

  test("one cycle rises for its share, then falls to nearly nothing", () => {
    const cycle = { kind: "oneCycle", rate: 1, rise: 0.25 } as const;
    expect(rateAt(cycle, 0, 100)).toBeCloseTo(0.04, 12);
    expect(rateAt(cycle, 25, 100)).toBeCloseTo(1, 12);
    expect(rateAt(cycle, 100, 100)).toBeCloseTo(1e-4, 12);
  });

  test("a rate that is not positive is refused", () => {
    expect(() => rateAt({ kind: "constant", rate: 0 }, 0, 1)).toThrow(/positive/);
  });
});
