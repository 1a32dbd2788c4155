import { describe, expect, it } from "vitest";
import { KingletError, Xorshift32 } from "../../base/index.ts";
import { readOnnx } from "./read.ts";
import { floats, longs, type TestModel, testOnnx } from "./test-model.ts";

const FLOAT = 1;
const INT64 = 7;

/** A convolution whose result is reshaped by arithmetic on its shape. */
const MODEL: TestModel = {
  inputs: [{ name: "x", type: FLOAT, dims: [1, 2, 4, 4] }],
  outputs: ["y"],
  tensors: [
    { name: "w", dims: [3, 2, 3, 3], type: FLOAT, raw: floats(...Array.from({ length: 54 }, (_, i) => i / 9 - 3)) },
    { name: "rest", dims: [1], type: INT64, raw: longs(-1) },
    { name: "zero", dims: [1], type: INT64, raw: longs(0) },
  ],
  nodes: [
    { op: "Conv", inputs: ["x", "w"], outputs: ["c"], attributes: { pads: { ints: [1, 1, 1, 1] } } },
    { op: "Relu", inputs: ["c"], outputs: ["r"] },
    { op: "Shape", inputs: ["r"], outputs: ["s"] },
    { op: "Gather", inputs: ["s", "zero"], outputs: ["n"] },
    { op: "Concat", inputs: ["n", "rest"], outputs: ["wanted"], attributes: { axis: { int: 0 } } },
    { op: "Reshape", inputs: ["r", "wanted"], outputs: ["y"] },
  ],
};

function refusal(model: TestModel, options: Parameters<typeof readOnnx>[2] = {}): KingletError {
  try {
    readOnnx(testOnnx(model), "test.onnx", options);
  } catch (error) {
    if (error instanceof KingletError) return error;
    throw error;
  }
  return expect.fail("the model was not refused");
}

describe("reading ONNX", () => {
  it("computes shapes while it reads", () => {
    const graph = readOnnx(testOnnx(MODEL), "m");
    expect(graph.outputs[0]!.shape).toEqual([1, 48]);
    expect(graph.nodes.map((node) => node.op)).toEqual(["transpose", "conv2d", "transpose", "reshape"]);
    expect(graph.nodes[1]!.attributes["activation"]).toBe("relu");
  });

  it("names every operator that Kinglet lacks, once", () => {
    const nodes = ["Loop", "Loop", "StringNormalizer"].map((op, i) => ({ op, inputs: ["x"], outputs: [`o${i}`] }));
    const { code, message } = refusal({ ...MODEL, nodes });
    expect(code).toBe("unsupported");
    expect(message).toContain("Loop (2×, it runs another graph, as often as contents say), StringNormalizer (1×, it reads text)");
  });

  it("asks for open shapes, and takes them", () => {
    const open: TestModel = { ...MODEL, inputs: [{ name: "x", type: FLOAT, dims: ["batch", 2, 4, 4] }] };
    expect(refusal(open).hint).toContain("--shape x=1x2x4x4");
    expect(refusal(open, { shapeOf: () => [1, 2, 4] }).code).toBe("bad-input");
    const graph = readOnnx(testOnnx({ ...open, nodes: MODEL.nodes.slice(0, 2), outputs: ["r"] }), "m", { shapeOf: () => [5, 2, 4, 4] });
    expect(graph.outputs[0]!.shape).toEqual([5, 3, 4, 4]);
  });

  it("refuses types that do not run on these machines by name", () => {
    expect(refusal({ ...MODEL, inputs: [{ name: "x", type: 8, dims: [1] }] }).message).toContain("string");
  });

  it("reads tensors in other files through its caller", () => {
    const external = { location: "w.bin", offset: "4", length: "216" };
    const tensors = [{ name: "w", dims: [3, 2, 3, 3], type: FLOAT, external }, ...MODEL.tensors!.slice(1)];
    const model: TestModel = { ...MODEL, tensors, nodes: MODEL.nodes.slice(0, 2), outputs: ["r"] };
    const files = (): Uint8Array => new Uint8Array(220);
    expect(readOnnx(testOnnx(model), "m", { files }).nodes).toHaveLength(3);
    expect(refusal(model).message).toContain("not at hand");
    expect(refusal(model, { files: () => new Uint8Array(100) }).message).toContain("file of 100 bytes");
  });

  it("refuses declared sizes that the file does not hold", () => {
    const huge = [{ name: "w", dims: [2 ** 20, 2 ** 20], type: FLOAT, raw: floats(1) }, ...MODEL.tensors!.slice(1)];
    expect(refusal({ ...MODEL, tensors: huge }).code).toBe("bad-file");
    const short = [{ name: "w", dims: [3, 2, 3, 3], type: FLOAT, raw: floats(1) }, ...MODEL.tensors!.slice(1)];
    expect(refusal({ ...MODEL, tensors: short }).message).toContain("need 216 bytes");
    const shape = { name: "s", dims: [2], type: INT64, raw: longs(2 ** 20, 2 ** 20) };
    expect(refusal({ ...MODEL, tensors: [shape], nodes: [{ op: "ConstantOfShape", inputs: ["s"], outputs: ["y"] }] }).code).toBe("bad-file");
  });

  it("ends in one typed error for thousands of damaged files", { timeout: 120_000 }, () => {
    const whole = testOnnx({ ...MODEL, nodes: MODEL.nodes.slice(0, 2), outputs: ["r"] });
    const random = new Xorshift32(7);
    let refused = 0;
    for (let i = 0; i < 8000; i++) {
      const bytes = whole.slice(0, i % 5 === 0 ? random.next() % whole.length : whole.length);
      for (let n = 0; n < 1 + (i % 4) && bytes.length > 0; n++) bytes[random.next() % bytes.length] = random.next() & 255;
      try {
        readOnnx(bytes, "damaged.onnx");
      } catch (error) {
        expect(error).toBeInstanceOf(KingletError);
        expect((error as KingletError).code).not.toBe("internal");
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(1000);
  });

  it("does not follow graphs inside of graphs without end", () => {
    let bomb = new Uint8Array(0);
    // Field 1 of a graph is a node, 5 of a node an attribute, 6 of an attribute a graph.
    for (let depth = 0; depth < 200; depth++) {
      for (const field of [6, 5, 1]) {
        const head = [field * 8 + 2];
        for (let n = bomb.length; ; n >>= 7) {
          head.push(n > 127 ? (n & 127) | 128 : n);
          if (n <= 127) break;
        }
        bomb = Uint8Array.from([...head, ...bomb]);
      }
    }
    const model = Uint8Array.from([0x3a, (bomb.length & 127) | 128, bomb.length >> 7, ...bomb]);
    expect(() => readOnnx(model, "bomb.onnx")).toThrow(KingletError);
  });
});

it("writes an output whose type a file leaves open without one", () => {
  const bytes = testOnnx({
    inputs: [{ name: "x", type: 1, dims: [1] }],
    outputs: ["y"],
    nodes: [{ op: "Relu", inputs: ["x"], outputs: ["y"] }],
  });
  // Field 12 of the graph, 3 bytes long: the name alone.
  expect(Buffer.from(bytes).includes(Buffer.from([0x62, 3, 0x0a, 1, 0x79]))).toBe(true);
});
