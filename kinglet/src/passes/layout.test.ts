import { describe, expect, it } from "vitest";
import { type Graph, GraphBuilder, type Value } from "../graph/index.ts";
import { applyOp } from "../ops/index.ts";
import { evaluate } from "../targets/js/index.ts";
import { layOut } from "./layout.ts";

const LAST = { permutation: [0, 2, 3, 1] };
const FIRST = { permutation: [0, 3, 1, 2] };
const X = Float32Array.from({ length: 48 }, (_, i) => Math.sin(i) * 3);

function build(write: (b: GraphBuilder, op: (name: string, inputs: Value[], attributes?: object) => Value, x: Value) => Value): Graph {
  const b = new GraphBuilder("layouts");
  const x = b.input("x", { dtype: "float32", shape: [1, 3, 4, 4] });
  b.output(write(b, (name, inputs, attributes = {}) => applyOp(b, name, inputs, attributes as never)[0]!, x));
  return b.build();
}

function transposesLeft(graph: Graph): number {
  const after = layOut(graph);
  expect(evaluate(after, [X])).toEqual(evaluate(graph, [X]));
  return after.nodes.filter((node) => node.op === "transpose").length;
}

describe("layout", () => {
  it("cancels transposes through elementwise operators, constants and concatenations", () => {
    const graph = build((b, op, x) => {
      const last = op("transpose", [x], LAST);
      const first = op("transpose", [op("square", [last])], FIRST);
      const bias = b.constant("bias", { dtype: "float32", shape: [3, 1, 1] }, Float32Array.of(1, 2, 3));
      const sum = op("add", [first, bias], { activation: "none" });
      const joined = op("concatenation", [sum, op("relu", [first])], { axis: 1, activation: "none" });
      return op("transpose", [joined], LAST);
    });
    expect(transposesLeft(graph)).toBe(1);
  });

  it("moves padding, slices and reductions to the other layout", () => {
    const graph = build((_, op, x) => {
      const first = op("transpose", [op("relu", [op("transpose", [x], LAST)])], FIRST);
      const padded = op("pad", [first], { before: [0, 0, 1, 2], after: [0, 0, 0, 1], value: 0 });
      const cut = op("slice", [padded], { begin: [0, 1, 0, 0], size: [1, 2, 5, 7] });
      return op("mean", [cut], { axes: [2, 3], keepDims: false });
    });
    expect(transposesLeft(graph)).toBe(0);
  });

  it("makes a reshape of a transpose that moves only dimensions of one element", () => {
    const graph = build((_, op, x) => {
      const mean = op("mean", [op("transpose", [op("relu", [x])], LAST)], { axes: [1, 2], keepDims: true });
      return op("transpose", [mean], FIRST);
    });
    expect(transposesLeft(graph)).toBe(0);
  });

  it("keeps a transpose that somebody needs", () => {
    expect(transposesLeft(build((_, op, x) => op("softmax", [op("transpose", [x], LAST)], { beta: 1 })))).toBe(1);
  });
});
