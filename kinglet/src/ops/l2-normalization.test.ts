import { describe, expect, it, test } from "vitest";
import { KingletError } from "../base/index.ts";
import { apply, at, expectElements, numbers, tensor, type Tensor } from "./movement-testing.ts";

function length(x: Tensor, row: number, zero: number): number {
  return Math.sqrt(Array.from({ length: x.shape[1]! }, (_, c) => (at(x, [row, c]) - zero) ** 2).reduce((a, b) => a + b, 0));
}

describe("l2Normalization", () => {
  it("float", () => {
    const x = tensor("float32", [3, 2], [3, 4, 0, 0, -1e-7, 0]);
    expect(numbers(apply("l2Normalization", [x], { activation: "none" })[0]!)).toEqual(
      [3 / 5, 4 / 5, 0, 0, -0.1, 0].map((v) => expect.closeTo(v, 6)),
    );
  });

  test.each([
    ["int8", 5, 0],
    ["int8", -128, 0],
    ["uint8", 120, 128],
  ] as const)("%s with zero point %i", (dtype, zero, zeroTo) => {
    const [low, high] = dtype === "int8" ? [-128, 127] : [0, 255];
    const x = tensor(
      dtype,
      [64, 4],
      Array.from({ length: 256 }, (_, i) => ((i * 89) % 256) + low),
      [0.3, zero],
    );
    const [y] = apply("l2Normalization", [x], { activation: "none" }, [1 / 128, zeroTo]);
    expectElements(y!, [64, 4], (index) => {
      const exact = ((at(x, index) - zero) / length(x, index[0]!, zero)) * 128 + zeroTo;
      const got = at(y!, index);
      // The mantissa is right to some 20 bits; the second rounding of the product moves results near a half.
      expect(Math.abs(got - Math.max(low, Math.min(high, exact)))).toBeLessThan(dtype === "int8" ? 0.76 : 0.6);
      return got;
    });
  });

  it.each([
    [
      [1, 0, 0],
      [127, 0, 0],
    ],
    [
      [-1, 0, 0],
      [-128, 0, 0],
    ],
    [
      [0, 0, 0],
      [0, 0, 0],
    ],
    [
      [1, 1, 0],
      [91, 91, 0],
    ],
    [
      [-1, 1, 1],
      [-74, 74, 74],
    ],
    [
      [2, 0, 0],
      [127, 0, 0],
    ],
    [
      [5, -5, 0],
      [91, -91, 0],
    ],
  ])("small numbers %j", (values, expected) => {
    expect(numbers(apply("l2Normalization", [tensor("int8", [1, 3], values, [1, 0])], { activation: "none" }, [1 / 128, 0])[0]!)).toEqual(expected);
  });

  it("sums of squares of 2^29 and more", () => {
    const x = tensor(
      "uint8",
      [1, 20000],
      Array.from({ length: 20000 }, (_, i) => (i < 4 ? 0 : 255)),
      [1, 0],
    );
    // 255 / sqrt(19996 · 255²) · 128 = 0.905
    expect(numbers(apply("l2Normalization", [x], { activation: "none" }, [1 / 128, 128])[0]!).slice(2, 6)).toEqual([128, 128, 129, 129]);
  });

  it("refuses another output scale", () => {
    expect(() => apply("l2Normalization", [tensor("int8", [1, 2], [1, 2], [1, 0])], { activation: "none" }, [1 / 64, 0])).toThrow(KingletError);
  });
});
