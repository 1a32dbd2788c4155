import { describe, expect, it } from "vitest";
import { KingletError } from "../../base/index.ts";
import { runClassical, runModel } from "./classical-testing.ts";
import type { TestAttribute, TestModel, TestNode } from "./test-model.ts";

const [NAN, STRING] = [Number.NaN, 8];
type Attributes = Readonly<Record<string, TestAttribute>>;

/** How skl2onnx names the best class: a table of names, one of them by position, in a shape and type of its own. */
function named(last: TestNode): TestModel {
  const nodes: TestNode[] = [
    { op: "ArgMax", inputs: ["x"], outputs: ["best"], attributes: { axis: { int: 1 }, keepdims: { int: 0 } } },
    { op: "ArrayFeatureExtractor", domain: "ai.onnx.ml", inputs: ["names", "best"], outputs: ["row"] },
    { op: "Cast", inputs: ["row"], outputs: ["text"], attributes: { to: { int: STRING } } },
    { op: "Reshape", inputs: ["text", "flat"], outputs: ["name"] },
    last,
  ];
  const tensors = [
    { name: "names", dims: [3], type: STRING, texts: ["sit", "walk", "sit"] },
    { name: "flat", dims: [1], type: 7, raw: new Uint8Array(BigInt64Array.of(-1n).buffer) },
  ];
  return { classical: 3, inputs: [{ name: "x", type: 1, dims: ["N", 3] }], outputs: [last.outputs[0]!], tensors, nodes };
}

describe("strings of a file", () => {
  it("are the positions of their labels", () => {
    const model = named({ op: "Identity", inputs: ["name"], outputs: ["y"] });
    const { graph, outputs } = runModel(model, Float32Array.of(0, 2, 1, 0, 1, 5), 2);
    expect(outputs[0]).toEqual([1, 0]);
    expect(graph.metadata["labels"]).toBe("sit\nwalk");
  });

  it.each<TestNode>([
    { op: "Equal", inputs: ["name", "name"], outputs: ["y"] },
    { op: "Cast", inputs: ["name"], outputs: ["y"], attributes: { to: { int: 1 } } },
    { op: "Gather", inputs: ["x", "name"], outputs: ["y"] },
  ])("are not computed with: $op", (node) => {
    expect(() => runModel(named(node), Float32Array.of(0, 2, 1), 1)).toThrow("strings");
  });
});

describe("scalers and encoders of ai.onnx.ml", () => {
  it.each<[string, Attributes, number[][], number[]]>([
    ["Scaler", { offset: { floats: [1, 2] }, scale: { floats: [2, 0.5] } }, [[3, 4]], [4, 1]],
    ["Scaler", { offset: { floats: [1] }, scale: { floats: [2] } }, [[3, 4]], [4, 6]],
    ["Normalizer", { norm: { text: "MAX" } }, [[1, -4, 2]], [0.5, -2, 1]],
    ["Normalizer", { norm: { text: "L1" } }, [[1, -3, 0]], [0.25, -0.75, 0]],
    [
      "Normalizer",
      { norm: { text: "L2" } },
      [
        [3, -4],
        [0, 0],
      ],
      [0.6, -0.8, 0, 0].map(Math.fround),
    ],
    [
      "Imputer",
      { imputed_value_floats: { floats: [7, 8] }, replaced_value_float: { float: NAN } },
      [
        [NAN, 1],
        [2, NAN],
      ],
      [7, 1, 2, 8],
    ],
    ["Imputer", { imputed_value_floats: { floats: [7] }, replaced_value_float: { float: -1 } }, [[-1, 3]], [7, 3]],
    ["Binarizer", { threshold: { float: 1 } }, [[0, 1, 2]], [0, 0, 1]],
    ["OneHotEncoder", { cats_int64s: { ints: [5, 2, 9] } }, [[2.9, 7]], [0, 1, 0, 0, 0, 0]],
    [
      "LabelEncoder",
      { keys_floats: { floats: [2, NAN] }, values_floats: { floats: [20, 30] }, default_float: { float: 5 } },
      [[2, NAN, 1]],
      [20, 30, 5],
    ],
    ["LabelEncoder", { keys_floats: { floats: [2] }, values_int64s: { ints: [20] } }, [[2, 1]], [20, -1]],
  ])("%s %o", (op, attributes, rows, want) => {
    expect(runClassical(op, attributes, rows).outputs[0]).toEqual(want);
  });

  it("encodes strings as their positions among labels", () => {
    const attributes = { keys_floats: { floats: [3, 4, 5] }, values_strings: { texts: ["b", "a", "b"] }, default_string: { text: "none" } };
    const { graph, outputs } = runClassical("LabelEncoder", attributes, [[5, 4, 9]]);
    expect(outputs[0]).toEqual([0, 1, 2]);
    expect(graph.metadata["labels"]).toBe("b\na\nnone");
  });

  it("takes columns, and puts them side by side at their declared widths", () => {
    const nodes = [
      { op: "ArrayFeatureExtractor", domain: "ai.onnx.ml", inputs: ["x", "columns"], outputs: ["z"] },
      { op: "FeatureVectorizer", domain: "ai.onnx.ml", inputs: ["z", "x"], outputs: ["y"], attributes: { inputdimensions: { ints: [3, 1] } } },
    ];
    const tensors = [{ name: "columns", dims: [2], type: 7, raw: new Uint8Array(BigInt64Array.of(2n, 0n).buffer) }];
    const model = { classical: 3, inputs: [{ name: "x", type: 1, dims: ["N", 3] }], outputs: ["y"], tensors, nodes };
    expect(runModel(model, Float32Array.of(1, 2, 3, 4, 5, 6), 2).outputs[0]).toEqual([3, 1, 0, 1, 6, 4, 0, 4]);
  });

  it("imputes whole numbers", () => {
    const attributes = { imputed_value_int64s: { ints: [7] }, replaced_value_int64: { int: -1 } };
    const nodes = [{ op: "Imputer", domain: "ai.onnx.ml", inputs: ["x"], outputs: ["y"], attributes }];
    const model = { classical: 3, inputs: [{ name: "x", type: 7, dims: ["N", 3] }], outputs: ["y"], nodes };
    expect(runModel(model, BigInt64Array.of(-1n, 0n, 5n), 1).outputs[0]).toEqual([7, 0, 5]);
  });

  it.each<[string, Attributes, string]>([
    ["Scaler", { offset: { floats: [1, 2, 3] } }, "3 numbers for 2 features"],
    ["Normalizer", { norm: { text: "L3" } }, "no such norm"],
    ["Imputer", {}, "no values to impute"],
    ["OneHotEncoder", { cats_strings: { texts: ["a"] } }, "strings"],
    ["LabelEncoder", { keys_strings: { texts: ["a"] }, values_int64s: { ints: [1] } }, "strings"],
    ["LabelEncoder", { keys_floats: { floats: [1, 2] }, values_int64s: { ints: [1] } }, "2 keys for 1 values"],
    ["DictVectorizer", {}, "ai.onnx.ml.DictVectorizer (1×, it works on maps)"],
  ])("%s %o is refused", (op, attributes, message) => {
    expect(() => runClassical(op, attributes, [[1, 2]])).toThrow(KingletError);
    expect(() => runClassical(op, attributes, [[1, 2]])).toThrow(message);
  });
});
