import { describe, expect, test } from "vitest";
import { GraphBuilder } from "../graph/index.ts";
import { differentiate } from "../passes/index.ts";
import { evaluate } from "../targets/js/index.ts";
import { realCases } from "./case-testing.ts";
import { applyOp, type FakeQuantizeAttributes, type FakeQuantizeWeightsAttributes, OPS, roundAway, storedNumbers } from "./index.ts";

describe("fakeQuantize", () => {
  test.each(realCases(OPS.fakeQuantize))("gives the reals that $name stores", ({ node, inputs, output }) => {
    const { dtype, scale, zeroPoint } = node.attributes as unknown as FakeQuantizeAttributes;
    const type = { dtype, shape: [21], quantization: { scales: [Math.fround(scale)], zeroPoints: [zeroPoint], axis: 0 } };
    const stored = storedNumbers(type, Float32Array.from(inputs[0]!));
    expect(output).toEqual(Array.from(stored as Int16Array, (q) => Math.fround((q - zeroPoint) * Math.fround(scale))));
  });

  test("keeps what is not a number, so that it is found", () => {
    const builder = new GraphBuilder("nan");
    const x = builder.input("x", { dtype: "float32", shape: [1] });
    builder.output(applyOp(builder, "fakeQuantize", [x], { dtype: "int8", scale: 0.1, zeroPoint: 0 })[0]!);
    expect(evaluate(builder.build(), [Float32Array.of(Number.NaN)])[0]).toEqual(Float32Array.of(Number.NaN));
  });

  test("passes gradients straight through inside its range, and none outside", () => {
    const builder = new GraphBuilder("straight through");
    const x = builder.input("x", { dtype: "float32", shape: [6] });
    const y = applyOp(builder, "fakeQuantize", [x], { dtype: "int8", scale: 1, zeroPoint: 28 })[0]!;
    const loss = applyOp(builder, "mul", [y, builder.constant("dy", { dtype: "float32", shape: [6] }, Float32Array.of(1, 2, 3, 4, 5, 6))], {
      activation: "none",
    })[0]!;
    builder.output(differentiate(builder, loss, [x])[0]!);
    // Stored −128…127 stand for −156…99.
    expect(evaluate(builder.build(), [Float32Array.of(-157, -156, -0.3, 98.6, 99, 99.4)])[0]).toEqual(Float32Array.of(0, 2, 3, 4, 5, 0));
  });
});

describe("fakeQuantizeWeights", () => {
  test.each(realCases(OPS.fakeQuantizeWeights))("rounds to each channel's own steps: $name", ({ node, inputs, output }) => {
    const { limit, axis } = node.attributes as unknown as FakeQuantizeWeightsAttributes;
    const { shape } = node.inputs[0]!;
    const inner = axis === undefined ? 1 : shape.slice(axis + 1).reduce((p, d) => p * d, 1);
    const channelOf = (i: number): number => (axis === undefined ? 0 : Math.floor(i / inner) % shape[axis]!);
    const most = new Map<number, number>();
    inputs[0]!.forEach((w, i) => most.set(channelOf(i), Math.max(most.get(channelOf(i)) ?? 0, Math.abs(w))));
    inputs[0]!.forEach((w, i) => {
      const scale = Math.fround(most.get(channelOf(i))! / limit);
      // + 0 makes one zero of both.
      expect(output[i]! + 0).toBe(Math.fround(roundAway(Math.fround(w / scale)) * scale) + 0);
    });
  });

  test("leaves a channel of zeros, and passes gradients on as they are", () => {
    const builder = new GraphBuilder("weights");
    const w = builder.input("w", { dtype: "float32", shape: [2, 2] });
    const y = applyOp(builder, "fakeQuantizeWeights", [w], { limit: 7, axis: 0 })[0]!;
    builder.output(y);
    builder.output(differentiate(builder, y, [w])[0]!);
    expect(evaluate(builder.build(), [Float32Array.of(0, 0, 7, 3.4)])).toEqual([Float32Array.of(0, 0, 7, 3), Float32Array.of(1, 1, 1, 1)]);
  });
});
