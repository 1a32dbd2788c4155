import { expect, test } from "vitest";
import { drawClients, selectClients } from "./index.ts";

const rounds = Array.from({ length: 400 }, (_, i) => i);

test("a fixed number is selected, at least one, each as often", () => {
  const picks = rounds.map((round) => selectClients(20, 0.2, 1, round));
  for (const each of picks) expect(new Set(each).size).toBe(4);
  const often = Array.from({ length: 20 }, (_, client) => picks.filter((each) => each.includes(client)).length);
  // 80 expected; five standard deviations.
  for (const count of often) expect(Math.abs(count - 80)).toBeLessThan(40);
  expect(selectClients(20, 0.001, 1, 1)).toHaveLength(1);
});

test("clients are drawn one by one: sizes of rounds are spread as a binomial distribution's", () => {
  const sizes = rounds.map((round) => drawClients(50, 0.1, 1, round).length);
  const mean = sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
  const variance = sizes.reduce((sum, size) => sum + (size - mean) ** 2, 0) / sizes.length;
  // 5 and 4.5; the mean's standard deviation is 0.11, the variance's about 0.3.
  expect(Math.abs(mean - 5)).toBeLessThan(0.55);
  expect(Math.abs(variance - 4.5)).toBeLessThan(1.6);
  expect(drawClients(50, 0.1, 1, 7)).toEqual(drawClients(50, 0.1, 1, 7));
  expect(drawClients(50, 1, 1, 7)).toHaveLength(50);
});
