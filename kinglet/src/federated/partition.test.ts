import { expect, test } from "vitest";
import { type Partition, partition } from "./index.ts";

const SAMPLES = 600;
const labels = Array.from({ length: SAMPLES }, (_, i) => i % 10);
const groups = Array.from({ length: SAMPLES }, (_, i) => Math.floor(i / 37));
const positions = Int32Array.from({ length: SAMPLES }, (_, i) => i);
const parts = (how: Partition, seed = 1): Int32Array[] => partition({ positions, labels, groups }, how, seed);

test.each<[string, Partition]>([
  ["iid", { kind: "iid", clients: 7 }],
  ["two labels each", { kind: "label", clients: 20, perClient: 2 }],
  ["by a Dirichlet distribution", { kind: "dirichlet", clients: 9, alpha: 0.3 }],
  ["by group", { kind: "group" }],
])("%s: every sample has one client, the same for a seed", (_, how) => {
  const found = parts(how);
  expect(found.flatMap((part) => [...part]).sort((a, b) => a - b)).toEqual([...positions]);
  expect(parts(how)).toEqual(found);
});

test("clients of a few labels see few, and other seeds others", () => {
  const classes = parts({ kind: "label", clients: 20, perClient: 2 }).map((part) => new Set(Array.from(part, (p) => labels[p])).size);
  // A piece may straddle the border between two classes; here none does: 600 samples of 10 classes make 40 pieces of 15.
  expect(classes.every((count) => count <= 2)).toBe(true);
  expect(parts({ kind: "iid", clients: 7 }, 2)).not.toEqual(parts({ kind: "iid", clients: 7 }, 1));
});

test("a small α is uneven, a large one even", () => {
  const spread = (alpha: number): number => {
    const sizes = parts({ kind: "dirichlet", clients: 10, alpha }).map(({ length }) => length);
    return Math.max(...sizes) - Math.min(...sizes);
  };
  expect(spread(0.05)).toBeGreaterThan(spread(1000));
});

test("groups stay whole", () => {
  expect(parts({ kind: "group" }).map((part) => new Set(Array.from(part, (p) => groups[p])).size)).toEqual(new Array(17).fill(1));
});

test("samples without a group have no client", () => {
  const unknown = { positions, labels, groups: groups.map((group, i) => (i === 100 ? -1 : group)) };
  expect(() => partition(unknown, { kind: "group" })).toThrow(/without a group/);
  expect(partition({ ...unknown, positions: positions.filter((i) => i !== 100) }, { kind: "group" })).toHaveLength(17);
});

test("more pieces than samples are refused", () => {
  expect(() => parts({ kind: "label", clients: 400, perClient: 2 })).toThrow(/cannot be spread/);
  expect(() => parts({ kind: "dirichlet", clients: 2, alpha: 0 })).toThrow(/α/);
});
