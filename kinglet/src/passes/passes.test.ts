import { describe, expect, test } from "vitest";
import { KingletError } from "../base/index.ts";
import { type Graph, GraphBuilder, type ValueType } from "../graph/index.ts";
import { evaluate } from "../targets/js/index.ts";
import { runPasses } from "./index.ts";

const tensor = (shape: number[], zeroPoint = -3): ValueType => ({
  dtype: "int8",
  shape,
  quantization: { scales: [0.05], zeroPoints: [zeroPoint], axis: 0 },
});
const weights = (shape: number[]): ValueType => ({ dtype: "int8", shape, quantization: { scales: [0.02], zeroPoints: [0], axis: 0 } });
const bytes = (n: number): Int8Array => Int8Array.from({ length: n }, (_, i) => ((i * 37) % 255) - 127);
const VALID = { strideH: 1, strideW: 1, dilationH: 1, dilationW: 1, padTop: 0, padBottom: 0, padLeft: 0, padRight: 0, activation: "none" };

function padThenConv(value?: number): Graph {
  const b = new GraphBuilder("pad then conv");
  const x = b.input("x", tensor([1, 4, 4, 2]));
  const padded = b.value("padded", tensor([1, 6, 7, 2]));
  b.node("pad", [x], [padded], { before: [0, 1, 1, 0], after: [0, 1, 2, 0], ...(value === undefined ? {} : { value }) });
  const y = b.value("y", tensor([1, 4, 5, 3], 5));
  b.node("conv2d", [padded, b.constant("w", weights([3, 3, 3, 2]), bytes(54)), null], [y], VALID);
  b.output(y);
  return b.build();
}

describe("passes", () => {
  test("zero padding moves into the convolution, and the result stays", () => {
    const before = padThenConv();
    const after = runPasses(before);
    expect(after.nodes.map((node) => node.op)).toEqual(["conv2d"]);
    expect(after.nodes[0]!.attributes).toMatchObject({ padTop: 1, padBottom: 1, padLeft: 1, padRight: 2 });
    expect(evaluate(after, [bytes(32)])).toEqual(evaluate(before, [bytes(32)]));
  });

  test("padding with another number stays", () => {
    expect(runPasses(padThenConv(9)).nodes.map((node) => node.op)).toEqual(["pad", "conv2d"]);
  });

  test("a depthwise convolution of one channel becomes a convolution, and the result stays", () => {
    const b = new GraphBuilder("one channel");
    const x = b.input("x", tensor([1, 5, 4, 1]));
    const y = b.value("y", tensor([1, 3, 2, 4], 5));
    const w: ValueType = {
      dtype: "int8",
      shape: [1, 3, 3, 4],
      quantization: { scales: [0.01, 0.02, 0.03, 0.04], zeroPoints: [0, 0, 0, 0], axis: 3 },
    };
    b.node("depthwiseConv2d", [x, b.constant("w", w, bytes(36)), null], [y], { ...VALID, depthMultiplier: 4 });
    b.output(y);
    const before = b.build();
    const after = runPasses(before);
    expect(after.nodes.map((node) => node.op)).toEqual(["conv2d"]);
    expect(evaluate(after, [bytes(20)])).toEqual(evaluate(before, [bytes(20)]));
  });

  test("nodes that nobody needs go, nodes that write variables stay", () => {
    const b = new GraphBuilder("dead");
    const x = b.input("x", tensor([4]));
    const [y, unused] = [b.value("y", tensor([4])), b.value("unused", tensor([4]))];
    const state = b.variable("state", tensor([4]));
    b.node("relu", [x], [y]);
    b.node("relu", [x], [unused]);
    b.node("assignVariable", [state, x], []);
    b.output(y);
    expect(runPasses(b.build()).nodes.map((node) => node.op)).toEqual(["relu", "assignVariable"]);
  });

  test("all unknown operators are named at once", () => {
    const b = new GraphBuilder("unknown");
    const x = b.input("x", tensor([4]));
    const [y, z] = [b.value("y", tensor([4])), b.value("z", tensor([4]))];
    b.node("frobnicate", [x], [y]);
    b.node("levitate", [y], [z]);
    b.output(z);
    expect(() => runPasses(b.build())).toThrow(/frobnicate, levitate/);
  });

  test("a declared shape that the operator does not give is refused by name", () => {
    const b = new GraphBuilder("wrong shape");
    const x = b.input("x", tensor([4]));
    const y = b.value("the output", tensor([5]));
    b.node("relu", [x], [y], {}, "the node");
    b.output(y);
    expect(() => runPasses(b.build())).toThrow(KingletError);
    expect(() => runPasses(b.build())).toThrow(/the node.*the output/);
  });

  test("a trace sees what each pass changed", () => {
    const seen: string[] = [];
    runPasses(padThenConv(), (pass) => seen.push(pass));
    expect(seen).toEqual(["fold padding", "remove dead nodes"]);
  });
});
