import { expect, it } from "vitest";
import { sigmoidTable } from "./sigmoid-table.ts";

it("holds TensorFlow Lite's knots, also where rounding sigmoid(i / 24) alone gives another number", () => {
  const table = sigmoidTable();
  const known: readonly [number, number][] = [
    [0, 32768],
    [1, 33451],
    [2, 34133],
    [9, 38841],
    [32, 51865],
    [64, 61279],
    [80, 63279],
    [128, 65221],
    [160, 65453],
    [255, 65535],
  ];
  expect(known.map(([i]) => table[i])).toEqual(known.map(([, knot]) => knot));
  const plain = Array.from({ length: 256 }, (_, i) => Math.min(65535, Math.round(65536 / (1 + Math.exp(-i / 24)))));
  expect(plain.filter((knot, i) => knot !== table[i]).length).toBe(44);
});
