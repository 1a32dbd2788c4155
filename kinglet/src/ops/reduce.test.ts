import { describe, expect, it } from "vitest";
import { GraphBuilder } from "../graph/index.ts";
import { evaluate } from "../targets/js/index.ts";
import { limited, type RealCase, realCases } from "./case-testing.ts";
import { mean, meanMultiplier, type ReduceAttributes, reduceMax, reduceMin, reduceProd, sum } from "./reduce.ts";

/** The input's elements that each output element joins. */
function groups({ node, inputs }: RealCase): number[][] {
  const { axes } = node.attributes as unknown as ReduceAttributes;
  const shape = node.inputs[0]!.shape;
  const found = new Map<string, number[]>();
  inputs[0]!.forEach((value, at) => {
    let rest = at;
    const place = [...shape]
      .reverse()
      .map((dim) => {
        const i = rest % dim;
        rest = Math.floor(rest / dim);
        return i;
      })
      .reverse();
    const key = place.filter((_, d) => !axes.includes(d)).join();
    found.set(key, [...(found.get(key) ?? []), value]);
  });
  return [...found.values()];
}

const total = (values: number[]): number => values.reduce((a, b) => a + b, 0);
const RULES = [
  { op: sum, real: total, steps: 1 },
  { op: mean, real: (values: number[]) => total(values) / values.length, steps: 1 },
  { op: reduceMax, real: (values: number[]) => Math.max(...values), steps: 0.01 },
  { op: reduceMin, real: (values: number[]) => Math.min(...values), steps: 0.01 },
];

describe.each(RULES)("$op.name", ({ op, real, steps }) => {
  it.each(realCases(op).map((example) => [example.name, example] as const))("%s", (_, example) => {
    const type = example.node.outputs[0]!;
    groups(example).forEach((values, i) => {
      const expected = limited(type, real(values));
      if (type.quantization !== undefined) expect(Math.abs(example.output[i]! - expected)).toBeLessThan(steps * example.step * 1.001);
      else if (type.dtype === "float32") expect(example.output[i]).toBeCloseTo(expected, 4);
      else expect(example.output[i]).toBe(Math.trunc(expected));
    });
  });
});

describe("reduceProd", () => {
  it.each(
    realCases(reduceProd)
      .filter((example) => example.node.outputs[0]!.dtype === "float32")
      .map((example) => [example.name, example] as const),
  )("%s", (_, example) => {
    groups(example).forEach((values, i) =>
      expect(example.output[i]).toBeCloseTo(
        values.reduce((a, b) => a * b, 1),
        4,
      ),
    );
  });
  it("rescales a quantized product of two", () => {
    const g = new GraphBuilder("one");
    const type = (shape: number[], scale: number, zeroPoint: number) => ({
      dtype: "int8" as const,
      shape,
      quantization: { scales: [scale], zeroPoints: [zeroPoint], axis: 0 },
    });
    const y = g.value("y", type([2], 0.25, 3));
    g.node("reduceProd", [g.input("x", type([2, 2], 0.5, 1))], [y], { axes: [1], keepDims: false });
    g.output(y);
    // (3 - 1) · 0.5 · (9 - 1) · 0.5 = 4 = (19 - 3) · 0.25, and (-1 - 1) · 0.5 · (7 - 1) · 0.5 = -3.
    expect([...evaluate(g.build(), [Int8Array.of(3, 9, -1, 7)])[0]!]).toEqual([19, -9]);
  });
});

describe("meanMultiplier", () => {
  it("folds the count into the multiplier, cut off", () => {
    expect(meanMultiplier({ multiplier: 2 ** 30, shift: 1 }, 1)).toEqual({ multiplier: 2 ** 30, shift: 1 });
    expect(meanMultiplier({ multiplier: 2 ** 30, shift: 1 }, 6)).toEqual({ multiplier: Math.floor(2 ** 32 / 6), shift: -1 });
    expect(meanMultiplier({ multiplier: 2 ** 30, shift: -30 }, 8)).toEqual({ multiplier: 2 ** 28, shift: -31 });
  });
  it("refuses axes beyond the rank", () => {
    expect(() => mean.infer([{ dtype: "int8", shape: [2, 3] }], { axes: [2], keepDims: true })).toThrow(/2 dimensions/);
  });
});
