import { describe, expect, test } from "vitest";
import { Xorshift32 } from "../../base/index.ts";
import { type Graph, GraphBuilder, type ValueType } from "../../graph/index.ts";
import type { KernelNotes } from "../../loops/index.ts";
import { lower } from "../lower.ts";
import { FAST_DSP_SCHEDULES } from "./schedules.ts";

const tensor = (shape: number[], scale: number, zeroPoint: number): ValueType => ({
  dtype: "int8",
  shape,
  quantization: { scales: [scale], zeroPoints: [zeroPoint], axis: 0 },
});

/** A 1x1 convolution of a 4x4 map; `edit` may change its weights and biases. */
function layer(
  inC: number,
  outC: number,
  activation: "relu" | "none",
  edit?: (weights: Int8Array, bias: Int32Array) => void,
  outScale = 0.02,
): Graph {
  const random = new Xorshift32(5);
  const weights = Int8Array.from({ length: inC * outC }, () => random.int(-127, 127));
  const bias = new Int32Array(outC);
  edit?.(weights, bias);
  const b = new GraphBuilder("layer");
  const x = b.input("x", tensor([1, 4, 4, inC], 0.05, 3));
  const w = b.constant("w", tensor([outC, 1, 1, inC], 0.003, 0), weights);
  const start = b.constant("bias", { dtype: "int32", shape: [outC] }, bias);
  const y = b.value("y", tensor([1, 4, 4, outC], outScale, activation === "relu" ? -128 : 5));
  b.node("conv2d", [x, w, start], [y], { strideH: 1, strideW: 1, padTop: 0, padBottom: 0, padLeft: 0, padRight: 0, activation });
  b.output(y);
  return b.build();
}

function notesOf(graph: Graph): KernelNotes | undefined {
  return lower(graph, { schedules: FAST_DSP_SCHEDULES }).steps[0]!.notes;
}

describe("a kernel's notes", () => {
  test("tell the form proved for each channel", () => {
    expect(notesOf(layer(16, 8, "relu"))).toEqual({ weights: "pairs in lanes", channels: { "ramp, 2 instructions": 8 } });
    expect(notesOf(layer(16, 8, "none"))).toEqual({ weights: "pairs in lanes", channels: { "steps, 4 instructions": 8 } });
  });

  test("count channels that cannot change", () => {
    const dead = layer(16, 8, "relu", (weights, bias) => {
      weights.fill(0, 0, 16);
      bias[0] = -5;
    });
    expect(notesOf(dead)?.channels).toEqual({ "ramp, 2 instructions": 7, constant: 1 });
  });

  test.each([
    ["odd channels", layer(16, 7, "relu"), "7 channels do not fill blocks"],
    ["odd inputs", layer(15, 8, "relu"), "15 inputs do not fill words"],
    ["large sums", layer(16, 8, "relu", (_, bias) => void (bias[3] = 2 ** 24), 20), "leave 32 bits"],
    ["a pair beyond its lane", layer(16, 8, "relu", (weights) => void weights.set([-128, -1])), "a pair of weights leaves 16 bits"],
  ])("say why there are no pairs: %s", (_name, graph, why) => {
    const notes = notesOf(graph);
    expect(notes?.weights).toBe("bytes");
    expect(notes?.why).toContain(why);
  });
});
