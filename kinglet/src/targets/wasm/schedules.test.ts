import { describe, expect, it } from "vitest";
import { allocate, elementCount, type Shape, type TypedArray, Xorshift32 } from "../../base/index.ts";
import type { Attributes, Node, Value } from "../../graph/index.ts";
import { memoryTypeOf } from "../../loops/index.ts";
import { singleKernel, type TestBuffer, TestModule } from "../../loops/wasm-testing.ts";
import { conv2d, depthwiseConv2d, fullyConnected, type OpCase, type OpDef } from "../../ops/index.ts";
import { wasmSchedules } from "./schedules.ts";

const OPS: Record<string, OpDef> = { conv2d, depthwiseConv2d, fullyConnected };
const random = new Xorshift32(99);

function contents(type: { dtype: Value["dtype"]; shape: Shape }, low: number, high: number): TypedArray {
  return (allocate(type.dtype, elementCount(type.shape)) as Int8Array | Int32Array).map(() => random.int(low, high));
}

/** The node of an operator's example, with random constants. */
function nodeOf(op: string, example: OpCase): Node {
  const inputs = example.inputs.map((input, id): Value | null => {
    if (input === null) return null;
    const { constant, low, high, ...type } = input;
    return { id, name: `in${id}`, ...type, ...(constant ? { data: contents(type, low ?? -128, high ?? 127) } : {}) };
  });
  const outputs = example.outputs.map((type, i): Value => ({ id: 10 + i, name: "out", ...type }));
  return { op, name: "node", inputs, outputs, attributes: example.attributes };
}

function bufferOf(value: Value): TestBuffer {
  return { type: memoryTypeOf(value.dtype)!, length: elementCount(value.shape) };
}

function runBoth(node: Node): { plain: TypedArray; fast: TypedArray } {
  const schedule = wasmSchedules[node.op]!(node);
  if (schedule === undefined) throw new Error("no schedule for this node");
  const [buffers, output] = [node.inputs.map((value) => value && bufferOf(value)), bufferOf(node.outputs[0]!)];
  const data = node.inputs.flatMap((value) => (value === null ? [] : [value.data ?? contents(value, -128, 127)]));
  return {
    plain: new TestModule(singleKernel(buffers, output, (k) => OPS[node.op]!.loops(k, node))).run(...data),
    fast: new TestModule(singleKernel(buffers, output, (k) => schedule(k, { inputs: [], outputs: [] }))).run(...data),
  };
}

const WINDOW = { strideH: 1, strideW: 1, dilationH: 1, dilationW: 1, padTop: 0, padBottom: 0, padLeft: 0, padRight: 0, activation: "none" };

function example(op: string, x: number[], w: number[], attributes: Attributes, channels: number, zeroPoint: number): OpCase {
  const scales = Array.from({ length: channels }, (_, c) => 0.002 + c * 0.0003);
  const type = (shape: number[], zero: number): OpCase["outputs"][number] => ({
    dtype: "int8",
    shape,
    quantization: { scales: [0.05], zeroPoints: [zero], axis: 0 },
  });
  const inputs: OpCase["inputs"] = [
    type(x, zeroPoint),
    { dtype: "int8", shape: w, constant: true, quantization: { scales, zeroPoints: scales.map(() => 0), axis: op === "depthwiseConv2d" ? 3 : 0 } },
    { dtype: "int32", shape: [channels], constant: true, low: -3000, high: 3000 },
  ];
  const [{ shape }] = OPS[op]!.infer(inputs, attributes) as unknown as [{ shape: number[] }];
  const quantization = { scales: [0.15], zeroPoints: [Math.trunc(-zeroPoint / 2)], axis: 0 };
  return { name: "", inputs, outputs: [{ dtype: "int8", shape, quantization }], attributes };
}

const CONV: [string, number[], number[], Attributes][] = [
  ["1x1, odd number of pixels", [1, 5, 5, 16], [8, 1, 1, 16], {}],
  ["1x1, ragged depth and channels", [2, 3, 3, 13], [7, 1, 1, 13], {}],
  ["3x3 of 3 channels, padded, stride 2", [1, 11, 9, 3], [10, 3, 3, 3], { strideH: 2, strideW: 2, padTop: 1, padBottom: 1, padLeft: 1, padRight: 1 }],
  ["4x10 first layer of a keyword net", [1, 25, 10, 1], [12, 10, 4, 1], { strideH: 2, strideW: 2, padTop: 4, padBottom: 5, padLeft: 1, padRight: 1 }],
  ["wide padding: whole windows outside", [1, 2, 2, 5], [4, 2, 2, 5], { padTop: 3, padBottom: 4, padLeft: 3, padRight: 4 }],
  ["rows dilated", [1, 9, 6, 4], [5, 3, 2, 4], { dilationH: 3, padTop: 2, activation: "relu6" }],
  ["one pixel", [1, 3, 3, 8], [9, 3, 3, 8], { activation: "relu" }],
];
const DEPTHWISE: [string, number[], number[], Attributes][] = [
  ["8 channels, padded", [1, 5, 6, 8], [1, 3, 3, 8], { padTop: 1, padBottom: 1, padLeft: 1, padRight: 1 }],
  ["19 channels, stride 2", [2, 7, 7, 19], [1, 3, 3, 19], { strideH: 2, strideW: 2, padLeft: 1, padTop: 1, activation: "relu6" }],
  ["16 channels, dilated", [1, 9, 9, 16], [1, 3, 5, 16], { dilationH: 2, dilationW: 2 }],
];
const DENSE: [string, number[], number[], Attributes][] = [
  ["one row", [1, 64], [12, 64], {}],
  ["three ragged rows", [3, 21], [5, 21], { activation: "relu" }],
  ["one output", [2, 8], [1, 8], {}],
];

describe.each([
  ["conv2d", CONV],
  ["depthwiseConv2d", DEPTHWISE],
  ["fullyConnected", DENSE],
] as const)("the vector schedule of %s", (op, examples) => {
  describe.each(examples)("%s", (_, x, w, attributes) => {
    it.each([-128, 0, 5, 127])("gives exactly the plain result at zero point %i", (zeroPoint) => {
      const all = op === "fullyConnected" ? { activation: "none", keepDims: true, ...attributes } : { ...WINDOW, depthMultiplier: 1, ...attributes };
      const node = nodeOf(op, example(op, x, w, all, op === "depthwiseConv2d" ? w[3]! : w[0]!, zeroPoint));
      const { plain, fast } = runBoth(node);
      expect(fast).toEqual(plain);
      expect(new Set(plain as Int8Array).size).toBeGreaterThan(1);
    });
  });

  it("agrees on the operator's own examples, or leaves them to the plain loops", () => {
    let fits = 0;
    for (const one of OPS[op]!.cases.filter(({ inputs }) => inputs[0]!.dtype === "int8")) {
      const node = nodeOf(op, one);
      if (wasmSchedules[op]!(node) === undefined) continue;
      fits++;
      const { plain, fast } = runBoth(node);
      expect(fast, one.name).toEqual(plain);
    }
    // Depthwise examples are all narrower than a vector.
    expect(fits).toBe({ conv2d: 2, depthwiseConv2d: 0, fullyConnected: 1 }[op]);
  });
});
