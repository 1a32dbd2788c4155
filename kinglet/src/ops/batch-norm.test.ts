import { describe, expect, test } from "vitest";
import { KingletError } from "../base/index.ts";
import { apply, numbers, tensor } from "./movement-testing.ts";

const row = (values: number[]): ReturnType<typeof tensor> => tensor("float32", [values.length], values);

describe("batchNorm", () => {
  test("(x − mean) · scale / √(variance + epsilon) + offset along the last axis, then the activation", () => {
    const x = tensor("float32", [2, 1, 2], [1, 10, 5, -2]);
    const statistics = [row([2, 3]), row([0.5, -1]), row([1, 2]), row([3, 35])];
    expect(numbers(apply("batchNorm", [x, ...statistics], { epsilon: 1, activation: "none" })[0]!)).toEqual([0.5, 3, 4.5, -3]);
    expect(numbers(apply("batchNorm", [x, ...statistics], { epsilon: 1, activation: "relu" })[0]!)).toEqual([0.5, 3, 4.5, 0]);
  });

  test("statistics of another number of channels are refused", () => {
    const x = tensor("float32", [1, 2], [1, 2]);
    const run = (): unknown => apply("batchNorm", [x, row([1, 1]), row([1]), row([1, 1]), row([1, 1])], { epsilon: 1, activation: "none" });
    expect(run).toThrow(KingletError);
    expect(run).toThrow(/the offset must be \[2\], not \[1\]/);
  });
});
