import { expect, test } from "vitest";
import { bytesOf, KingletError } from "../base/index.ts";
import { type Graph, GraphBuilder } from "../graph/index.ts";
import { prepareForQuantization } from "../passes/index.ts";
import { diffGraphs } from "./diff.ts";
import { quantizeNetwork } from "./quantize/index.ts";
import { seededSample } from "./samples.ts";

/** relu(x·w), then that times a factor, then plus 1; names of the values as given. */
function network(factor: number, names: readonly [string, string, string], extra = false): Graph {
  const b = new GraphBuilder("network");
  const type = { dtype: "float32" as const, shape: [1, 4] };
  const x = b.input("x", type);
  const constant = (name: string, shape: number[], fill: (i: number) => number) =>
    b.constant(
      name,
      { dtype: "float32", shape },
      Float32Array.from({ length: shape.reduce((p, d) => p * d, 1) }, (_, i) => fill(i)),
    );
  const [dense, scaled, sum] = names.map((name) => b.value(name, type)) as [
    ReturnType<typeof b.value>,
    ReturnType<typeof b.value>,
    ReturnType<typeof b.value>,
  ];
  b.node("fullyConnected", [x, constant("w", [4, 4], (i) => (i % 5) - 2)], [dense], { activation: "relu", keepDims: true }, "dense");
  let last = dense;
  if (extra) {
    last = b.value("between", { dtype: "float32", shape: [2, 2] });
    b.node("tanh", [reshaped(b, dense)], [last], {}, "tanh");
    last = reshaped(b, last, [1, 4]);
  }
  b.node("mul", [last, constant("f", [4], () => factor)], [scaled], { activation: "none" }, "scale");
  b.node("add", [scaled, constant("one", [4], () => 1)], [sum], { activation: "none" }, "shift");
  b.output(sum);
  return b.build();
}

function reshaped(b: GraphBuilder, x: Graph["values"][0], shape = [2, 2]): Graph["values"][0] {
  const y = b.value(`${x.name}_${shape.join("x")}`, { dtype: "float32", shape });
  b.node("reshape", [x], [y], { shape });
  return y;
}

const SAMPLE = [bytesOf(Float32Array.of(1, -2, 3, 0.5))];
const NAMES = ["a", "b", "c"] as const;

test("one network against itself parts nowhere", () => {
  const { pairs, first, alone } = diffGraphs(network(2, NAMES), network(2, NAMES), SAMPLE);
  expect(pairs.map(({ a, share, pairedBy, equalElements }) => [a.node, share, pairedBy, equalElements])).toEqual([
    ["dense", 0, "name", 4],
    ["scale", 0, "name", 4],
    ["shift", 0, "name", 4],
  ]);
  expect([first, alone]).toEqual([null, { a: [], b: [] }]);
});

test("the first node that computes something else is named", () => {
  const { pairs, first } = diffGraphs(network(2, NAMES), network(2.5, NAMES), SAMPLE);
  expect(first).toMatchObject({ a: { node: "scale", op: "mul", value: "b" }, parts: true, share: 0.25 });
  expect(pairs.map(({ parts }) => parts)).toEqual([false, true, true]);
  expect(diffGraphs(network(2, NAMES), network(2.5, NAMES), SAMPLE, { tolerance: 0.25 }).first).toBeNull();
});

test("values of other names are paired by shape in order, and what is left over is told", () => {
  const { pairs, alone } = diffGraphs(network(2, NAMES), network(2, ["p", "q", "c"], true), SAMPLE);
  expect(pairs.map(({ a, b, pairedBy }) => [a.value, b.value, pairedBy])).toEqual([
    ["a", "p", "place"],
    ["b", "q", "place"],
    ["c", "c", "name"],
  ]);
  expect(alone).toMatchObject({ a: [], b: [{ value: "between", op: "tanh" }] });
});

test("a quantized network is compared in real numbers on the same sample", () => {
  const float = prepareForQuantization(network(2, NAMES));
  const samples = [SAMPLE, ...[1, 2, 3].map((seed) => seededSample(float, seed))];
  const { graph } = quantizeNetwork(float, samples, { io: "int8" });
  const { pairs, first } = diffGraphs(float, graph, SAMPLE);
  expect(pairs.filter(({ storedAlike }) => !storedAlike)).toHaveLength(3);
  expect(pairs.some(({ largestDifference }) => largestDifference > 0)).toBe(true);
  expect(first).toBeNull();
});

test("other inputs are refused", () => {
  const b = new GraphBuilder("other");
  const x = b.input("x", { dtype: "float32", shape: [1, 5] });
  const y = b.value("y", x);
  b.node("relu", [x], [y], {});
  b.output(y);
  expect(() => diffGraphs(network(2, NAMES), b.build(), SAMPLE)).toThrow(KingletError);
});
