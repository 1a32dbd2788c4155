import { describe, expect, it } from "vitest";
import { bytesOf, Xorshift32 } from "../../base/index.ts";
import { type Graph, GraphBuilder, type Value, type ValueType } from "../../graph/index.ts";
import { evaluate, separatePlacement } from "../js/index.ts";
import { lower } from "../lower.ts";
import { convertLayout, createWasmRunner, wasmSchedules } from "./index.ts";

const random = new Xorshift32(7);
const WINDOW = { strideH: 2, strideW: 2, dilationH: 1, dilationW: 1, padTop: 1, padBottom: 1, padLeft: 1, padRight: 1, activation: "relu" };

function int8(shape: number[], scale: number, zeroPoint: number): ValueType {
  return { dtype: "int8", shape, quantization: { scales: [scale], zeroPoints: [zeroPoint], axis: 0 } };
}

/** Convolution, depthwise convolution, 1x1 convolution, fully connected: every schedule once. */
function network(): Graph {
  const g = new GraphBuilder("small");
  const weights = (name: string, shape: number[]): Value =>
    g.constant(
      name,
      int8(shape, 0.01, 0),
      Int8Array.from({ length: shape.reduce((p, d) => p * d, 1) }, () => random.int(-127, 127)),
    );
  const bias = (name: string, length: number): Value =>
    g.constant(
      name,
      { dtype: "int32", shape: [length] },
      Int32Array.from({ length }, () => random.int(-2000, 2000)),
    );
  const x = g.input("x", int8([1, 12, 10, 3], 0.05, -4));
  const [a, b, c] = [g.value("a", int8([1, 6, 5, 9], 0.1, -128)), g.value("b", int8([1, 3, 3, 9], 0.1, 3)), g.value("c", int8([1, 3, 3, 6], 0.2, 0))];
  const y = g.value("y", int8([1, 5], 0.5, 10));
  g.node("conv2d", [x, weights("w1", [9, 3, 3, 3]), bias("b1", 9)], [a], WINDOW);
  g.node("depthwiseConv2d", [a, weights("w2", [1, 3, 3, 9]), bias("b2", 9)], [b], { ...WINDOW, depthMultiplier: 1 });
  g.node("conv2d", [b, weights("w3", [6, 1, 1, 9]), null], [c], {
    ...WINDOW,
    strideH: 1,
    strideW: 1,
    padTop: 0,
    padBottom: 0,
    padLeft: 0,
    padRight: 0,
  });
  g.node("fullyConnected", [c, weights("w4", [5, 54]), bias("b4", 5)], [y], { activation: "none", keepDims: false });
  g.output(y);
  return g.build();
}

describe("a whole network as WebAssembly", () => {
  it.each(["plain loops", "vector schedules"] as const)("gives what the plain loops give in JavaScript: %s", (kind) => {
    const graph = network();
    const program = lower(graph, kind === "plain loops" ? {} : { schedules: wasmSchedules, convert: convertLayout });
    const runner = createWasmRunner(program, separatePlacement(program));
    for (let turn = 0; turn < 5; turn++) {
      const input = Int8Array.from({ length: 360 }, () => random.int(-128, 127));
      runner.setInput(0, bytesOf(input));
      runner.run();
      const [expected] = evaluate(graph, [input]);
      expect([...runner.output(0)]).toEqual([...bytesOf(expected!)]);
    }
  });
});
