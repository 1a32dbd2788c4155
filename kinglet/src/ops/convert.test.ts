import { describe, expect, it, test } from "vitest";
import { GraphBuilder } from "../graph/index.ts";
import { bytesOf, type DType, fromBytes } from "../base/index.ts";
import { createJsRunner, separatePlacement } from "../targets/js/index.ts";
import { lower } from "../targets/lower.ts";
import { apply, at, counted, expectElements, numbers, tensor } from "./movement-testing.ts";

describe("cast", () => {
  test.each([
    ["float32", "int8", [1.9, -1.9, 0.5, 300, -300], [1, -1, 0, 127, -128]],
    ["float32", "uint8", [1.9, -1.9, 255.5], [1, 0, 255]],
    ["float32", "int32", [2147483520, 3e9, -3e9, -0.5], [2147483520, 2147483520, -2147483648, 0]],
    ["float32", "int64", [1.5, -4294967296], [1, -4294967296]],
    ["float32", "bool", [0, 0.25, -3], [0, 1, 1]],
    ["int32", "float32", [16777217, 16777219, -7], [16777216, 16777220, -7]],
    ["int32", "int8", [128, 255, -129], [-128, -1, 127]],
    ["int32", "int64", [-5, 2147483647], [-5, 2147483647]],
    ["int64", "int32", [4294967297, -1], [1, -1]],
    ["int64", "float32", [1099511627776, -3], [1099511627776, -3]],
    ["int64", "bool", [0, 4294967296], [0, 1]],
    ["int8", "uint8", [-1, 5], [255, 5]],
    ["uint8", "int16", [255, 0], [255, 0]],
    ["bool", "float32", [1, 0], [1, 0]],
    ["bool", "int64", [1, 0], [1, 0]],
  ] as const)("%s to %s", (from, to, values, expected) => {
    const [y] = apply("cast", [tensor(from, [values.length], values)], { dtype: to });
    expect(y!.dtype).toBe(to);
    expect(numbers(y!).map((v) => v + 0)).toEqual(expected);
  });
});

describe("quantize", () => {
  it("rounds floats half away from zero and saturates", () => {
    const x = tensor("float32", [7], [0, 0.25, -0.25, 0.75, 100, -100, 0.2]);
    expect(numbers(apply("quantize", [x], { dtype: "int8" }, [0.5, -3])[0]!)).toEqual([-3, -2, -4, -1, 127, -128, -3]);
    expect(numbers(apply("quantize", [x], { dtype: "uint8" }, [0.5, 3])[0]!)).toEqual([3, 4, 2, 5, 203, 0, 3]);
    expect(numbers(apply("quantize", [x], { dtype: "int16" }, [0.001, 0])[0]!)).toEqual([0, 250, -250, 750, 32767, -32768, 200]);
  });

  test.each([
    ["int8", "uint8", 0.5, -3, 0.5, 125],
    ["int8", "int8", 0.07, 4, 0.05, -9],
    ["int16", "int8", 0.001, 0, 0.1, 3],
    ["int8", "int16", 0.1, -8, 0.002, 0],
    ["uint8", "int8", 0.02, 120, 0.3, 1],
    ["int16", "int32", 0.001, 0, 1e-6, 0],
  ] as const)("%s to %s", (from, to, scale, zero, scaleTo, zeroTo) => {
    const low = from === "uint8" ? 0 : -128;
    const values = Array.from({ length: 256 }, (_, i) => (i + low) * (from === "int16" ? 255 : 1));
    const range: Partial<Record<DType, [number, number]>> = { int8: [-128, 127], uint8: [0, 255], int16: [-32768, 32767] };
    const [least, most] = range[to] ?? [-Infinity, Infinity];
    const got = numbers(apply("quantize", [tensor(from, [256], values, [scale, zero])], { dtype: to }, [scaleTo, zeroTo])[0]!);
    // Twice rounded, as the reference does: the product with a factor in [1/2, 1), and its shift to the right.
    const ratio = Math.fround(scale) / Math.fround(scaleTo);
    const shift = Math.floor(Math.log2(ratio)) + 1;
    const away = (x: number): number => Math.sign(x) * Math.floor(Math.abs(x) + 0.5);
    expect(got).toEqual(
      values.map((value) => {
        const product = Math.floor((value - zero) * 2 ** Math.max(0, shift) * (ratio / 2 ** shift) + 0.5);
        return Math.max(least, Math.min(most, away(product * 2 ** Math.min(0, shift)) + zeroTo));
      }),
    );
  });
});

describe("dequantize", () => {
  test.each([
    ["int8", 0.1, -3],
    ["uint8", 0.1, 120],
    ["int16", 0.0003, 0],
  ] as const)("%s", (dtype, scale, zero) => {
    const x = counted(dtype, [97]);
    const [y] = apply("dequantize", [{ ...x, quantization: { scales: [scale], zeroPoints: [zero], axis: 0 } }]);
    expectElements(y!, [97], (index) => Math.fround(Math.fround(scale) * (at(x, index) - zero)));
  });

  it("int32", () => {
    const values = [1, -1, 3, 2147483647, -2147483648, 123456789, -987654321, 16777217];
    expect(numbers(apply("dequantize", [tensor("int32", [8], values, [0.1, 0])])[0]!)).toEqual(values.map((v) => Math.fround(Math.fround(0.1) * v)));
  });
});

describe.each(["argMax", "argMin"] as const)("%s", (name) => {
  test.each([
    ["int8", "int32", 0],
    ["uint8", "int64", 1],
    ["float32", "int32", 2],
  ] as const)("of %s as %s along axis %i", (dtype, result, axis) => {
    // 97 different numbers twice over, so that there are equals.
    const x = counted(dtype, [6, 5, 7], 3);
    const [y] = apply(name, [x], { axis, keepDims: false, dtype: result });
    expect(y!.dtype).toBe(result);
    expectElements(y!, x.shape.toSpliced(axis, 1), (index) => {
      const line = Array.from({ length: x.shape[axis]! }, (_, i) => at(x, index.toSpliced(axis, 0, i)));
      return line.indexOf(name === "argMax" ? Math.max(...line) : Math.min(...line));
    });
  });

  it("gives the first of equals", () => {
    const [high, low] = name === "argMax" ? [9, -9] : [-9, 9];
    expect(numbers(apply(name, [tensor("int8", [5], [low, high, low, high, high])], { axis: 0, keepDims: true, dtype: "int32" })[0]!)).toEqual([1]);
  });
});

describe("variables", () => {
  it("give what was assigned in the run before, and begin as they are told", () => {
    const builder = new GraphBuilder("memory");
    const type = { dtype: "int16", shape: [3] } as const;
    const state = builder.variable("state", type, Int16Array.of(7, 8, 9));
    const x = builder.input("x", type);
    const y = builder.value("y", type);
    builder.node("readVariable", [state], [y]);
    builder.node("assignVariable", [state, x], []);
    builder.output(y);
    const program = lower(builder.build());
    const runner = createJsRunner(program, separatePlacement(program));
    const run = (...values: number[]): unknown => {
      runner.setInput(0, bytesOf(Int16Array.from(values)));
      runner.run();
      return fromBytes("int16", runner.output(0));
    };
    expect(run(1, 2, 3)).toEqual(Int16Array.of(7, 8, 9));
    expect(run(4, 5, 6)).toEqual(Int16Array.of(1, 2, 3));
    runner.reset();
    expect(run(0, 0, 0)).toEqual(Int16Array.of(7, 8, 9));
  });
});
