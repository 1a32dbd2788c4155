import { describe, expect, it } from "vitest";
import { KingletError } from "../../base/index.ts";
import { runClassical, runModel } from "./classical-testing.ts";
import type { TestAttribute } from "./test-model.ts";

type Attributes = Readonly<Record<string, TestAttribute>>;

const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

function expectClose(got: readonly number[] | undefined, want: readonly number[]): void {
  expect(got).toHaveLength(want.length);
  want.forEach((value, i) => expect(got![i]).toBeCloseTo(value, 5));
}

describe("linear models of ai.onnx.ml", () => {
  it("give a score for each target", () => {
    const attributes = { targets: { int: 2 }, coefficients: { floats: [1, 2, 3, 4] }, intercepts: { floats: [0.5, -0.5] } };
    expect(
      runClassical("LinearRegressor", attributes, [
        [1, 1],
        [2, -1],
      ]).outputs[0],
    ).toEqual([3.5, 6.5, 0.5, 1.5]);
  });

  it("choose the class of the best score", () => {
    const attributes = {
      coefficients: { floats: [1, -1, 0] },
      intercepts: { floats: [0, 0, 0.5] },
      classlabels_ints: { ints: [4, 5, 6] },
      post_transform: { text: "SOFTMAX" },
    };
    const { outputs } = runClassical("LinearClassifier", attributes, [[2], [-1], [0]]);
    expect(outputs[0]).toEqual([4, 5, 6]);
    const sum = Math.exp(2) + Math.exp(-2) + Math.exp(0.5);
    expectClose(outputs[1]!.slice(0, 3), [Math.exp(2) / sum, Math.exp(-2) / sum, Math.exp(0.5) / sum]);
  });

  it("choose of two classes by one score", () => {
    const attributes = {
      coefficients: { floats: [2] },
      intercepts: { floats: [-1] },
      classlabels_ints: { ints: [4, 5] },
      post_transform: { text: "LOGISTIC" },
    };
    const { outputs } = runClassical("LinearClassifier", attributes, [[0], [1]]);
    expect(outputs[0]).toEqual([4, 5]);
    expectClose(outputs[1], [logistic(1), logistic(-1), logistic(-1), logistic(1)]);
  });

  it.each<[string, number[], number[]]>([
    ["SOFTMAX_ZERO", [1, 0], [1, 0]],
    ["SOFTMAX_ZERO", [1, 2], [logistic(-1), logistic(1)]],
    // The quantiles of the normal distribution at 0.975 and 0.5; the formula is good to two digits.
    ["PROBIT", [0.975, 0.5], [1.957, 0]],
  ])("transform scores: %s of %o", (transform, scores, want) => {
    const attributes = { targets: { int: 2 }, coefficients: { floats: scores }, post_transform: { text: transform } };
    runClassical("LinearRegressor", attributes, [[1]]).outputs[0]!.forEach((score, i) => expect(score).toBeCloseTo(want[i]!, 2));
  });
});

describe("support vector machines of ai.onnx.ml", () => {
  const [x, vectors] = [
    [1, 2],
    [
      [1, 0],
      [0, 3],
    ],
  ];
  const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  const distance = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0);

  it.each<[string, number, (v: readonly number[]) => number]>([
    ["LINEAR", 0, (v) => dot(x, v)],
    ["POLY", 2, (v) => (0.5 * dot(x, v) + 0.25) ** 2],
    ["POLY", 3, (v) => (0.5 * dot(x, v) + 0.25) ** 3],
    ["POLY", 4, (v) => (0.5 * dot(x, v) + 0.25) ** 4],
    ["RBF", 0, (v) => Math.exp(-0.5 * distance(x, v))],
    ["SIGMOID", 0, (v) => Math.tanh(0.5 * dot(x, v) + 0.25)],
  ])("have the kernel %s", (kind, degree, kernel) => {
    const attributes = {
      ...{ kernel_type: { text: kind }, kernel_params: { floats: [0.5, 0.25, degree] }, n_supports: { int: 2 } },
      ...{ support_vectors: { floats: vectors.flat() }, coefficients: { floats: [0.5, -2] }, rho: { floats: [0.125] } },
    };
    expectClose(runClassical("SVMRegressor", attributes, [x]).outputs[0], [0.5 * kernel(vectors[0]!) - 2 * kernel(vectors[1]!) + 0.125]);
  });

  it("say of one class whether a sample belongs to it", () => {
    const attributes = { one_class: { int: 1 }, coefficients: { floats: [1, -1] }, rho: { floats: [0] } };
    expect(
      runClassical("SVMRegressor", attributes, [
        [2, 1],
        [1, 2],
      ]).outputs[0],
    ).toEqual([1, -1]);
  });

  /** One vector for each class, so that a pair's score is a difference. */
  const three: Attributes = {
    ...{ kernel_type: { text: "LINEAR" }, vectors_per_class: { ints: [1, 1, 1] }, support_vectors: { floats: [1, 0, 0, 1, -1, -1] } },
    ...{ coefficients: { floats: [1, -1, -1, 1, 1, -1] }, rho: { floats: [0, 0, 0] }, classlabels_ints: { ints: [10, 20, 30] } },
  };

  it("choose the class that wins most pairs", () => {
    const { outputs } = runClassical("SVMClassifier", three, [
      [3, 1],
      [1, 3],
      [-2, -2],
    ]);
    expect(outputs[0]).toEqual([10, 20, 30]);
    // (0, 1): x − y; (0, 2): x + (x + y); (1, 2): y + (x + y).
    expect(outputs[1]!.slice(0, 3)).toEqual([2, 7, 5]);
  });

  it("give probabilities of all classes", () => {
    const sigmoids = { prob_a: { floats: [-1, -1, -1] }, prob_b: { floats: [0, 0, 0] } };
    const { outputs } = runClassical("SVMClassifier", { ...three, ...sigmoids }, [
      [0, 0],
      [3, 1],
    ]);
    expectClose(outputs[1]!.slice(0, 3), [1 / 3, 1 / 3, 1 / 3]);
    expect(outputs[1]!.slice(3).reduce((a, b) => a + b)).toBeCloseTo(1, 5);
    expect(outputs[1]![3]).toBeGreaterThan(0.8);
  });

  it("give the one score of two classes with both signs", () => {
    const attributes = {
      ...{ kernel_type: { text: "LINEAR" }, vectors_per_class: { ints: [1, 1] }, support_vectors: { floats: [1, -1] } },
      ...{ coefficients: { floats: [1, -1] }, rho: { floats: [0.5] }, classlabels_strings: { texts: ["up", "down"] } },
    };
    const { graph, outputs } = runClassical("SVMClassifier", attributes, [[1], [-1]]);
    expect(outputs).toEqual([
      [0, 1],
      [-2.5, 2.5, 1.5, -1.5],
    ]);
    expect(graph.metadata["labels"]).toBe("up\ndown");
  });

  it.each<[string, Attributes, string]>([
    ["SVMClassifier", { ...three, rho: { floats: [0] } }, "offset for every pair"],
    ["SVMClassifier", { ...three, support_vectors: { floats: [1, 2, 3] } }, "cannot be cut into rows"],
    ["SVMClassifier", { ...three, vectors_per_class: { ints: [3] } }, "of 1 classes for 3 labels"],
    ["SVMClassifier", { ...three, kernel_type: { text: "RBF" } }, "lacks its three parameters"],
    [
      "SVMRegressor",
      { n_supports: { int: 2 }, support_vectors: { floats: [1, 2] }, coefficients: { floats: [1, 2] }, rho: { floats: [0] } },
      "1 support vectors, not 2",
    ],
    ["LinearClassifier", { coefficients: { floats: [1, 2] }, classlabels_ints: { ints: [1, 2, 3] } }, "1 scores for 3 classes"],
    ["LinearRegressor", { coefficients: { floats: [1, 2] }, targets: { int: 2 } }, "are for 1 targets"],
  ])("%s refuses what does not fit", (op, attributes, message) => {
    expect(() => runClassical(op, attributes, [[1, 2]])).toThrow(KingletError);
    expect(() => runClassical(op, attributes, [[1, 2]])).toThrow(message);
  });
});

it("runs k-means as skl2onnx writes it", () => {
  const raw = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);
  const nodes = [
    { op: "ReduceSumSquare", inputs: ["x"], outputs: ["xx"], attributes: { axes: { ints: [1] }, keepdims: { int: 1 } } },
    { op: "Gemm", inputs: ["x", "centres"], outputs: ["xc"], attributes: { alpha: { float: -2 }, transB: { int: 1 } } },
    { op: "Add", inputs: ["xx", "xc"], outputs: ["partial"] },
    { op: "Add", inputs: ["squares", "partial"], outputs: ["square"] },
    { op: "Sqrt", inputs: ["square"], outputs: ["distances"] },
    { op: "ArgMin", inputs: ["square"], outputs: ["label"], attributes: { axis: { int: 1 }, keepdims: { int: 0 } } },
  ];
  const tensors = [
    { name: "centres", dims: [2, 2], type: 1, raw: raw(0, 0, 3, 4) },
    { name: "squares", dims: [2], type: 1, raw: raw(0, 25) },
  ];
  const model = { inputs: [{ name: "x", type: 1, dims: ["N", 2] }], outputs: ["label", "distances"], tensors, nodes };
  const { outputs } = runModel(model, Float32Array.of(0, 0, 3, 4), 2);
  expect(outputs).toEqual([
    [0, 1],
    [0, 5, 5, 0],
  ]);
});
