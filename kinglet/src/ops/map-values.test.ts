import { expect, it } from "vitest";
import { apply, numbers, tensor } from "./movement-testing.ts";

it("maps values by their keys: the first of equal ones, what is not a number, and all others", () => {
  const [keys, values] = [tensor("float32", [4], [2, Number.NaN, 2, -0]), tensor("int64", [5], [20, 30, 40, 50, -1])];
  expect(numbers(apply("mapValues", [tensor("float32", [5], [2, Number.NaN, 0, 7, -2]), keys, values])[0]!)).toEqual([20, 30, 50, -1, -1]);
  expect(() => apply("mapValues", [tensor("float32", [1], [2]), keys, keys])).toThrow("4 values for 4 keys");
});
