import { describe, expect, it, test } from "vitest";
import { apply, at, counted, expectElements, numbers, tensor } from "./movement-testing.ts";

const WAYS = [
  [false, false],
  [true, false],
  [false, true],
  [true, true],
] as const;

describe.each(WAYS)("cumsum, exclusive %s, reverse %s", (exclusive, reverse) => {
  /** Indices along the axis whose elements count for element i. */
  const counts = (i: number, size: number): number[] =>
    Array.from({ length: size }, (_, d) => d).filter((d) => (d === i ? !exclusive : reverse ? d > i : d < i));

  test.each((["float32", "int32", "int64"] as const).flatMap((dtype) => [0, 1, 2].map((axis) => [dtype, axis] as const)))(
    "%s along axis %i",
    (dtype, axis) => {
      const x = counted(dtype, [3, 4, 2]);
      const [y] = apply("cumsum", [x], { axis, exclusive, reverse });
      expectElements(y!, [3, 4, 2], (index) => counts(index[axis]!, x.shape[axis]!).reduce((sum, d) => sum + at(x, index.with(axis, d)), 0));
    },
  );

  it("int8: sums start from what a stored 0 stands for, as in TensorFlow Lite Micro", () => {
    const [scale, zero, scaleTo, zeroTo] = [0.1, 3, 0.35, -7];
    const x = tensor("int8", [2, 5], [-20, 3, 17, 40, -1, 0, 9, 30, -30, 100], [scale, zero]);
    const [y] = apply("cumsum", [x], { axis: 1, exclusive, reverse }, [scaleTo, zeroTo]);
    expectElements(y!, [2, 5], ([row, i]) => {
      const sum = counts(i!, 5).reduce((total, d) => total + at(x, [row!, d]) - zero, -zero);
      return Math.max(-128, Math.min(127, Math.round((sum * scale) / scaleTo) + zeroTo));
    });
  });
});

it("cumsum wraps as 32-bit numbers do", () => {
  expect(numbers(apply("cumsum", [tensor("int32", [2], [2147483647, 1])], { axis: 0, exclusive: false, reverse: false })[0]!)).toEqual([
    2147483647, -2147483648,
  ]);
});
