import { expect, it } from "vitest";
import { apply, numbers, tensor } from "./movement-testing.ts";

it("squares the distances of rows from rows", () => {
  const [x, y] = [tensor("float32", [2, 2], [0, 0, 1, 2]), tensor("float32", [3, 2], [3, 4, 1, 2, -1, 0])];
  expect(numbers(apply("squaredDistances", [x, y])[0]!)).toEqual([25, 5, 1, 8, 0, 8]);
  expect(() => apply("squaredDistances", [x, tensor("float32", [1, 3], [0, 0, 0])])).toThrow("rows of 2 and of 3");
});
