import type { Xorshift32 } from "../../kinglet/src/base/index.ts";
import { type TestAttribute, type TestModel, type TestNode, testOnnx } from "../../kinglet/src/formats/onnx/test-model.ts";
import { type ForestPlan, forestAttributes, onGrid, splitAttributes } from "./forests.ts";

/** A random classical model with samples for it: `data` [samples, features]. */
export interface ClassicalModel {
  readonly bytes: Uint8Array;
  readonly features: number;
  readonly data: Float32Array;
  /** Those to compare, the first of the model's. */
  readonly outputs: readonly string[];
}

/** Makes one model of a family. */
export type Family = (random: Xorshift32) => ClassicalModel;

export const SAMPLES = 6;
const MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"];

type Attributes = Readonly<Record<string, TestAttribute>>;

const real = (random: Xorshift32): number => Math.fround(random.float() * 2);
const reals = (random: Xorshift32, count: number): number[] => Array.from({ length: count }, () => real(random));
const pick = <T>(random: Xorshift32, ...choices: readonly T[]): T => choices[random.int(0, choices.length - 1)]!;
const text = (value: string): TestAttribute => ({ text: value });

function model(
  nodes: readonly TestNode[],
  outputs: readonly string[],
  features: number,
  data: Float32Array,
  more: Partial<TestModel> = {},
): ClassicalModel {
  const inputs = [{ name: "x", type: 1, dims: ["N", features] }];
  return { bytes: testOnnx({ opset: 17, classical: 3, inputs, outputs, nodes, ...more }), features, data, outputs };
}

function single(op: string, outputs: readonly string[], attributes: Attributes, features: number, data: Float32Array, classical = 3): ClassicalModel {
  return model([{ op, domain: "ai.onnx.ml", inputs: ["x"], outputs, attributes }], outputs, features, data, { classical });
}

/** Samples on the grid of the thresholds and off it; where asked for, some are not numbers. */
function samples(random: Xorshift32, features: number, holes = false): Float32Array {
  return Float32Array.from({ length: SAMPLES * features }, () => (holes && random.int(0, 4) === 0 ? Number.NaN : pick(random, onGrid, real)(random)));
}

function plan(random: Xorshift32, vote: ForestPlan["vote"], modes: readonly string[] = MODES): ForestPlan {
  const size = { trees: random.int(1, 12), depth: random.int(1, 6), features: random.int(1, 9) };
  return { ...size, modes: pick(random, modes, modes, [pick(random, ...modes)]), missing: random.int(0, 1) === 1, vote };
}

function labels(random: Xorshift32, count: number, integers: string): Attributes {
  if (random.int(0, 2) === 0) return { classlabels_strings: { texts: Array.from({ length: count }, (_, i) => `class ${i}`) } };
  const first = random.int(0, 1) * random.int(-5, 20);
  return { [integers]: { ints: Array.from({ length: count }, (_, i) => first + i * (first === 0 ? 1 : 3)) } };
}

const base = (random: Xorshift32, count: number): Attributes => (random.int(0, 1) === 0 ? {} : { base_values: { floats: reals(random, count) } });
const every = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

function regressor(random: Xorshift32): ClassicalModel {
  const targets = pick(random, 1, 1, 3);
  const forest = plan(random, () => every(targets).map((target) => [target, real(random)] as const));
  const attributes = {
    ...forestAttributes(forest, random, "target"),
    n_targets: { int: targets },
    aggregate_function: text(pick(random, "SUM", "AVERAGE", "MIN", "MAX")),
    post_transform: text(targets === 1 ? "NONE" : pick(random, "NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO")),
    ...base(random, targets),
  };
  return single("TreeEnsembleRegressor", ["y"], attributes, forest.features, samples(random, forest.features, true));
}

/** Each tree votes for all classes (a forest), or in turn for one of them (boosting). */
function classifier(random: Xorshift32): ClassicalModel {
  const classes = random.int(3, 5);
  const isForest = random.int(0, 1) === 0;
  const vote: ForestPlan["vote"] = (tree) =>
    isForest ? every(classes).map((id) => [id, Math.abs(real(random))] as const) : [[tree % classes, real(random)]];
  const forest = { ...plan(random, vote), trees: classes * random.int(1, 4) };
  const attributes = {
    ...forestAttributes(forest, random, "class"),
    ...labels(random, classes, "classlabels_int64s"),
    post_transform: text(pick(random, "NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO")),
    ...base(random, classes),
  };
  return single("TreeEnsembleClassifier", ["label", "scores"], attributes, forest.features, samples(random, forest.features, true));
}

/** Two classes of which the trees vote for one. */
function binary(random: Xorshift32): ClassicalModel {
  const [isShare, id] = [random.int(0, 1) === 0, random.int(0, 1)];
  const forest = plan(random, () => [[id, isShare ? Math.abs(real(random)) / 8 : real(random)]]);
  const attributes = {
    ...forestAttributes(forest, random, "class"),
    ...labels(random, 2, "classlabels_int64s"),
    post_transform: text(pick(random, "NONE", "LOGISTIC", "SOFTMAX")),
    ...(id === 0 ? base(random, 1) : {}),
  };
  return single("TreeEnsembleClassifier", ["label", "scores"], attributes, forest.features, samples(random, forest.features, true));
}

function splitEnsemble(random: Xorshift32): ClassicalModel {
  const targets = random.int(1, 3);
  // Only leaves of the last targets may be missing: the attribute counts them.
  const forest = plan(random, (tree) => [[tree === 0 ? targets - 1 : random.int(0, targets - 1), real(random)]], [...MODES, "BRANCH_MEMBER"]);
  const attributes = { ...splitAttributes(forest, random), aggregate_function: { int: random.int(0, 3) }, post_transform: { int: 0 } };
  return single("TreeEnsemble", ["y"], attributes, forest.features, samples(random, forest.features), 5);
}

function linearRegressor(random: Xorshift32): ClassicalModel {
  const [features, targets] = [random.int(1, 9), random.int(1, 4)];
  const attributes = {
    targets: { int: targets },
    coefficients: { floats: reals(random, targets * features) },
    ...(random.int(0, 1) === 0 ? {} : { intercepts: { floats: reals(random, targets) } }),
    post_transform: text(targets === 1 ? "NONE" : pick(random, "NONE", "LOGISTIC", "SOFTMAX")),
  };
  return single("LinearRegressor", ["y"], attributes, features, samples(random, features));
}

function linearClassifier(random: Xorshift32): ClassicalModel {
  const [features, classes] = [random.int(1, 9), random.int(2, 5)];
  const scores = classes === 2 ? random.int(1, 2) : classes;
  const attributes = {
    coefficients: { floats: reals(random, scores * features) },
    intercepts: { floats: reals(random, scores) },
    ...labels(random, classes, "classlabels_ints"),
    post_transform: text(scores === 1 ? "NONE" : pick(random, "NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO")),
  };
  return single("LinearClassifier", ["label", "scores"], attributes, features, samples(random, features));
}

function kernel(random: Xorshift32): Attributes {
  const kind = pick(random, "LINEAR", "POLY", "RBF", "SIGMOID");
  const degree = pick(random, 2, 3, 4);
  return { kernel_type: text(kind), kernel_params: { floats: [Math.fround(0.05 + Math.abs(random.float()) / 4), real(random) / 2, degree] } };
}

function svmRegressor(random: Xorshift32): ClassicalModel {
  const [features, vectors] = [random.int(1, 9), random.int(1, 12)];
  const attributes = {
    ...kernel(random),
    n_supports: { int: vectors },
    support_vectors: { floats: reals(random, vectors * features) },
    coefficients: { floats: reals(random, vectors) },
    rho: { floats: [real(random)] },
    one_class: { int: random.int(0, 1) },
  };
  return single("SVMRegressor", ["y"], attributes, features, samples(random, features));
}

function svmClassifier(random: Xorshift32): ClassicalModel {
  const [features, classes] = [random.int(1, 9), random.int(2, 5)];
  const vectors = every(classes).map(() => random.int(1, 6));
  const [total, pairs] = [vectors.reduce((a, b) => a + b), (classes * (classes - 1)) / 2];
  const hasProbabilities = random.int(0, 1) === 0;
  const sigmoids = { prob_a: { floats: reals(random, pairs).map((a) => -Math.abs(a)) }, prob_b: { floats: reals(random, pairs).map((b) => b / 4) } };
  const attributes = {
    ...kernel(random),
    ...labels(random, classes, "classlabels_ints"),
    vectors_per_class: { ints: vectors },
    support_vectors: { floats: reals(random, total * features) },
    coefficients: { floats: reals(random, total * (classes - 1)) },
    rho: { floats: reals(random, pairs) },
    ...(hasProbabilities ? sigmoids : {}),
    post_transform: text(hasProbabilities ? "NONE" : pick(random, "NONE", "NONE", "LOGISTIC")),
  };
  return single("SVMClassifier", ["label", "scores"], attributes, features, samples(random, features));
}

function scaler(random: Xorshift32): ClassicalModel {
  const features = random.int(1, 9);
  const count = pick(random, 1, features);
  return single(
    "Scaler",
    ["y"],
    { offset: { floats: reals(random, count) }, scale: { floats: reals(random, count) } },
    features,
    samples(random, features),
  );
}

function normalizer(random: Xorshift32): ClassicalModel {
  const features = random.int(1, 9);
  const data = samples(random, features);
  data.fill(0, 0, features);
  return single("Normalizer", ["y"], { norm: text(pick(random, "MAX", "L1", "L2")) }, features, data);
}

function imputer(random: Xorshift32): ClassicalModel {
  const features = random.int(1, 9);
  const attributes = {
    imputed_value_floats: { floats: reals(random, pick(random, 1, features)) },
    replaced_value_float: { float: pick(random, Number.NaN, onGrid(random)) },
  };
  return single("Imputer", ["y"], attributes, features, samples(random, features, true));
}

function binarizer(random: Xorshift32): ClassicalModel {
  const features = random.int(1, 9);
  return single("Binarizer", ["y"], { threshold: { float: onGrid(random) } }, features, samples(random, features));
}

function oneHotEncoder(random: Xorshift32): ClassicalModel {
  const features = random.int(1, 9);
  const data = Float32Array.from({ length: SAMPLES * features }, () => random.int(0, 6) + pick(random, 0, 0.5));
  return single("OneHotEncoder", ["y"], { cats_int64s: { ints: [4, 0, 1, 5] } }, features, data);
}

function labelEncoder(random: Xorshift32): ClassicalModel {
  const features = random.int(1, 9);
  const [keys, kind] = [[Number.NaN, -1, 0.25, 2], random.int(0, 2)];
  const values: Attributes =
    kind === 0
      ? { values_floats: { floats: reals(random, 4) }, default_float: { float: real(random) } }
      : kind === 1
        ? { values_int64s: { ints: [7, 5, 3, 7] }, default_int64: { int: 9 } }
        : { values_strings: { texts: ["a", "b", "c", "a"] }, default_string: text("none") };
  return single("LabelEncoder", ["y"], { keys_floats: { floats: keys }, ...values }, features, samples(random, features, true), 4);
}

/** Columns in another order, then some of them cut or filled up. */
function extractor(random: Xorshift32): ClassicalModel {
  const [features, count] = [random.int(1, 9), random.int(1, 6)];
  const indices = BigInt64Array.from({ length: count }, () => BigInt(random.int(0, features - 1)));
  const nodes: TestNode[] = [
    { op: "ArrayFeatureExtractor", domain: "ai.onnx.ml", inputs: ["x", "columns"], outputs: ["z"] },
    {
      op: "FeatureVectorizer",
      domain: "ai.onnx.ml",
      inputs: ["z", "x"],
      outputs: ["y"],
      attributes: { inputdimensions: { ints: [count + random.int(-1, 2) || 1, features] } },
    },
  ];
  const tensors = [{ name: "columns", dims: [count], type: 7, raw: new Uint8Array(indices.buffer) }];
  return model(nodes, ["y"], features, samples(random, features), { tensors });
}

/** k-means as skl2onnx writes it: the nearest centre by −2·x·c + |c|² + |x|², and the distances from all. */
function kMeans(random: Xorshift32): ClassicalModel {
  const [features, centres] = [random.int(1, 9), random.int(2, 6)];
  const centre = Float32Array.from(reals(random, centres * features));
  const squares = Float32Array.from({ length: centres }, (_, c) =>
    centre.slice(c * features, (c + 1) * features).reduce((sum, value) => sum + value * value, 0),
  );
  const node = (op: string, inputs: string[], outputs: string[], attributes: Attributes = {}): TestNode => ({ op, inputs, outputs, attributes });
  const nodes = [
    node("ReduceSumSquare", ["x"], ["xx"], { axes: { ints: [1] }, keepdims: { int: 1 } }),
    node("Gemm", ["x", "centres"], ["xc"], { alpha: { float: -2 }, transB: { int: 1 } }),
    node("Add", ["xx", "xc"], ["partial"]),
    node("Add", ["squares", "partial"], ["square"]),
    node("Relu", ["square"], ["positive"]),
    node("Sqrt", ["positive"], ["scores"]),
    node("ArgMin", ["square"], ["label"], { axis: { int: 1 }, keepdims: { int: 0 } }),
  ];
  const tensors = [
    { name: "centres", dims: [centres, features], type: 1, raw: new Uint8Array(centre.buffer) },
    { name: "squares", dims: [centres], type: 1, raw: new Uint8Array(squares.buffer) },
  ];
  return model(nodes, ["label", "scores"], features, samples(random, features), { tensors });
}

/** A pipeline: missing values, a scaler, a classifier, and maps of its scores. */
function pipeline(random: Xorshift32): ClassicalModel {
  const [features, classes] = [random.int(2, 9), 3];
  const forest = { ...plan(random, () => every(classes).map((id) => [id, Math.abs(real(random))] as const)), features };
  const names = labels(random, classes, "classlabels_int64s");
  const of = (op: string, inputs: string[], outputs: string[], attributes: Attributes): TestNode => ({
    op,
    domain: "ai.onnx.ml",
    inputs,
    outputs,
    attributes,
  });
  const nodes = [
    of("Imputer", ["x"], ["filled"], { imputed_value_floats: { floats: reals(random, features) }, replaced_value_float: { float: Number.NaN } }),
    of("Scaler", ["filled"], ["scaled"], { offset: { floats: reals(random, features) }, scale: { floats: reals(random, features) } }),
    of("TreeEnsembleClassifier", ["scaled"], ["label", "probabilities"], { ...forestAttributes(forest, random, "class"), ...names }),
    of("ZipMap", ["probabilities"], ["scores"], names),
  ];
  // The engine gives no maps to JavaScript: what they are made of is compared.
  return { ...model(nodes, ["label", "probabilities", "scores"], features, samples(random, features, true)), outputs: ["label", "probabilities"] };
}

export const FAMILIES: Readonly<Record<string, Family>> = {
  TreeEnsembleRegressor: regressor,
  TreeEnsembleClassifier: classifier,
  "TreeEnsembleClassifier of two": binary,
  TreeEnsemble: splitEnsemble,
  LinearRegressor: linearRegressor,
  LinearClassifier: linearClassifier,
  SVMRegressor: svmRegressor,
  SVMClassifier: svmClassifier,
  Scaler: scaler,
  Normalizer: normalizer,
  Imputer: imputer,
  Binarizer: binarizer,
  OneHotEncoder: oneHotEncoder,
  LabelEncoder: labelEncoder,
  "ArrayFeatureExtractor, FeatureVectorizer": extractor,
  "k-means": kMeans,
  "pipeline with ZipMap": pipeline,
};
