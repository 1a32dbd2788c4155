import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { KingletError } from "../../base/index.ts";
import { classicalModel, runClassical, runModel } from "./classical-testing.ts";
import { readOnnx } from "./read.ts";
import { type TestAttribute, testOnnx } from "./test-model.ts";

type Attributes = Readonly<Record<string, TestAttribute>>;

/** A tree as a reader of the standard would write it down. */
type Tree =
  | { readonly weights: readonly number[] }
  | { readonly mode: string; readonly feature: number; readonly value: number; readonly missing: boolean; readonly yes: Tree; readonly no: Tree };

const MODES: Readonly<Record<string, (x: number, value: number) => boolean>> = {
  BRANCH_LEQ: (x, value) => x <= value,
  BRANCH_LT: (x, value) => x < value,
  BRANCH_GTE: (x, value) => x >= value,
  BRANCH_GT: (x, value) => x > value,
  BRANCH_EQ: (x, value) => x === value,
  BRANCH_NEQ: (x, value) => x !== value,
};

/** What the standard says, taken literally. */
function leafOf(tree: Tree, x: readonly number[]): readonly number[] {
  if ("weights" in tree) return tree.weights;
  const value = x[tree.feature]!;
  const answer = MODES[tree.mode]!(value, tree.value) || (tree.missing && Number.isNaN(value));
  return leafOf(answer ? tree.yes : tree.no, x);
}

function attributesOf(trees: readonly Tree[], votes: "class" | "target"): Attributes {
  const [nodes, cast]: [Record<string, number | string>[], Record<string, number>[]] = [[], []];
  const add = (tree: Tree, treeId: number): number => {
    const id = nodes.filter((node) => node["treeids"] === treeId).length;
    const node: Record<string, number | string> = {
      treeids: treeId,
      nodeids: id,
      featureids: 0,
      modes: "LEAF",
      values: 0,
      truenodeids: 0,
      falsenodeids: 0,
      missing_value_tracks_true: 0,
    };
    nodes.push(node);
    if ("weights" in tree) tree.weights.forEach((weight, target) => cast.push({ treeids: treeId, nodeids: id, ids: target, weights: weight }));
    else {
      const { mode, feature, value, missing, yes, no } = tree;
      Object.assign(node, {
        featureids: feature,
        modes: mode,
        values: value,
        missing_value_tracks_true: Number(missing),
        truenodeids: add(yes, treeId),
        falsenodeids: add(no, treeId),
      });
    }
    return id;
  };
  trees.forEach(add);
  const column = (name: string): number[] => nodes.map((node) => node[name] as number);
  const vote = (name: string): number[] => cast.map((each) => each[name]!);
  return {
    ...Object.fromEntries(
      ["treeids", "nodeids", "featureids", "truenodeids", "falsenodeids", "missing_value_tracks_true"].map((name) => [
        `nodes_${name}`,
        { ints: column(name) },
      ]),
    ),
    nodes_modes: { texts: nodes.map((node) => String(node["modes"])) },
    nodes_values: { floats: column("values") },
    ...Object.fromEntries(["treeids", "nodeids", "ids"].map((name) => [`${votes}_${name}`, { ints: vote(name) }])),
    [`${votes}_weights`]: { floats: vote("weights") },
  };
}

const [FEATURES, TARGETS] = [4, 2];
const numbers = fc.constantFrom(-Infinity, -1.5, -0.25, -0, 0, 2 ** -149, 0.1, 1, 3.4028234663852886e38, Infinity).map(Math.fround);
const { tree: anyTree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc.record({ weights: fc.array(fc.integer({ min: -8, max: 8 }), { minLength: TARGETS, maxLength: TARGETS }) }),
    fc.record({
      mode: fc.constantFrom(...Object.keys(MODES)),
      feature: fc.integer({ min: 0, max: FEATURES - 1 }),
      value: numbers,
      missing: fc.boolean(),
      yes: tie("tree"),
      no: tie("tree"),
    }),
  ),
}));
const forests = fc.array(anyTree, { minLength: 1, maxLength: 5 });
const rows = fc.array(fc.array(fc.oneof(numbers, fc.constant(Number.NaN)), { minLength: FEATURES, maxLength: FEATURES }), {
  minLength: 1,
  maxLength: 8,
});

/** One question: x[0] at most 0.5? */
const stump = (yes: readonly number[], no: readonly number[]): Tree => ({
  ...{ mode: "BRANCH_LEQ", feature: 0, value: 0.5, missing: false },
  yes: { weights: yes },
  no: { weights: no },
});
const X = [[0], [1]];

describe("trees of ai.onnx.ml", () => {
  it.each(["SUM", "MIN", "MAX"] as const)("answers as the standard says, every mode, missing values and all: %s", (aggregate) => {
    const joined = { SUM: (a: number, b: number) => a + b, MIN: Math.min, MAX: Math.max }[aggregate];
    fc.assert(
      fc.property(forests, rows, (trees, xs) => {
        const attributes = { ...attributesOf(trees, "target"), n_targets: { int: TARGETS }, aggregate_function: { text: aggregate } };
        const want = xs.flatMap((x) => trees.map((tree) => leafOf(tree, x)).reduce((a, b) => a.map((score, t) => joined(score, b[t]!))));
        expect(runClassical("TreeEnsembleRegressor", attributes, xs).outputs[0]!.map((score) => score + 0)).toEqual(want.map((score) => score + 0));
      }),
      { numRuns: 60, seed: 5 },
    );
  });

  it("averages, and adds base values", () => {
    const attributes = {
      ...attributesOf([stump([1, 2], [3, 4]), stump([5, 6], [7, 8])], "target"),
      ...{ n_targets: { int: 2 }, aggregate_function: { text: "AVERAGE" }, base_values: { floats: [10, 20] } },
    };
    expect(runClassical("TreeEnsembleRegressor", attributes, X).outputs[0]).toEqual([13, 24, 15, 26]);
  });

  it("gives a target without a vote 0", () => {
    const attributes = { ...attributesOf([stump([3], [4])], "target"), n_targets: { int: 2 }, aggregate_function: { text: "MIN" } };
    expect(runClassical("TreeEnsembleRegressor", attributes, X).outputs[0]).toEqual([3, 0, 4, 0]);
  });

  it("names the best of several classes, by number or by position", () => {
    const attributes = attributesOf([stump([0.25, 0.5, 0.25], [0.5, 0, 0.5])], "class");
    const byNumber = runClassical("TreeEnsembleClassifier", { ...attributes, classlabels_int64s: { ints: [7, 3, 9] } }, X);
    expect(byNumber.outputs).toEqual([
      [3, 7],
      [0.25, 0.5, 0.25, 0.5, 0, 0.5],
    ]);
    expect(byNumber.graph.metadata["labels"]).toBe("7\n3\n9");
    const byName = runClassical("TreeEnsembleClassifier", { ...attributes, classlabels_strings: { texts: ["rest", "walk", "run"] } }, X);
    expect(byName.outputs[0]).toEqual([1, 0]);
    expect(byName.graph.metadata["labels"]).toBe("rest\nwalk\nrun");
  });

  it("makes two scores of votes for one class of two: shares, or numbers of both signs", () => {
    const classes = { classlabels_int64s: { ints: [-1, 1] } };
    const shares = runClassical("TreeEnsembleClassifier", { ...attributesOf([stump([0.25], [0.75])], "class"), ...classes }, X);
    expect(shares.outputs).toEqual([
      [-1, 1],
      [0.75, 0.25, 0.25, 0.75],
    ]);
    const signed = runClassical(
      "TreeEnsembleClassifier",
      { ...attributesOf([stump([-2], [0.25])], "class"), ...classes, base_values: { floats: [-0.5] } },
      X,
    );
    expect(signed.outputs).toEqual([
      [-1, -1],
      [2.5, -2.5, 0.25, -0.25],
    ]);
  });

  it("drops the maps of ZipMap and keeps the names of their columns", () => {
    const attributes = { ...attributesOf([stump([1, 2, 3], [3, 2, 1])], "class"), classlabels_int64s: { ints: [0, 1, 2] } };
    const model = classicalModel("TreeEnsembleClassifier", ["label", "scores"], attributes, 1);
    const map = {
      op: "ZipMap",
      domain: "ai.onnx.ml",
      inputs: ["scores"],
      outputs: ["maps"],
      attributes: { classlabels_strings: { texts: ["a", "b", "c"] } },
    };
    const { graph, outputs } = runModel({ ...model, nodes: [...model.nodes, map], outputs: ["maps"] }, Float32Array.of(0, 1), 2);
    expect(outputs).toEqual([[1, 2, 3, 3, 2, 1]]);
    expect(graph.metadata["labels"]).toBe("a\nb\nc");
  });

  it("takes one sample where the file leaves open how many", () => {
    const attributes = { ...attributesOf([stump([1], [2])], "target"), n_targets: { int: 1 } };
    expect(readOnnx(testOnnx(classicalModel("TreeEnsembleRegressor", ["y"], attributes, 1)), "open").inputs[0]!.shape).toEqual([1, 1]);
  });

  it("keeps a tree's tables in the smallest types and alike leaves once", () => {
    const same = stump([1], [2]);
    const tree: Tree = { mode: "BRANCH_LEQ", feature: 3, value: 0, missing: false, yes: same, no: same };
    const { graph } = runClassical("TreeEnsembleRegressor", { ...attributesOf([tree], "target"), n_targets: { int: 1 } }, [[0, 0, 0, 0]]);
    const tables = graph.nodes[0]!.inputs.slice(1).map((input) => (input === null ? null : [input.dtype, ...input.shape]));
    expect(tables).toEqual([["uint8", 3], ["float32", 3], ["uint8", 3, 2], ["uint8", 1], ["float32", 2, 1], null]);
  });
});

describe("trees that are none", () => {
  const good = { ...attributesOf([stump([1], [2])], "target"), n_targets: { int: 1 } };
  const cases: readonly [string, Attributes][] = [
    ["round in a circle", { nodes_truenodeids: { ints: [0, 0, 0] } }],
    ["that it lacks", { nodes_falsenodeids: { ints: [9, 0, 0] } }],
    ["asks for feature 5", { nodes_featureids: { ints: [5, 0, 0] } }],
    ["a leaf votes for none", { target_ids: { ints: [0, 1] } }],
    ["differ in length", { nodes_values: { floats: [0] } }],
    ['no mode "BRANCH_NEAR"', { nodes_modes: { texts: ["BRANCH_NEAR", "LEAF", "LEAF"] } }],
    ["there twice", { nodes_nodeids: { ints: [0, 1, 1] } }],
    ["a node votes that is not there", { target_nodeids: { ints: [1, 4] } }],
    ["what is not a number", { nodes_values: { floats: [Number.NaN, 0, 0] } }],
    ['transform "HALF"', { post_transform: { text: "HALF" } }],
    ['aggregate function "MEDIAN"', { aggregate_function: { text: "MEDIAN" } }],
    ["it has no trees", Object.fromEntries(Object.keys(good).map((name) => [name, name === "n_targets" ? { int: 1 } : { ints: [] }]))],
  ];

  it.each(cases)("end in an error: %s", (message, changes) => {
    try {
      runClassical("TreeEnsembleRegressor", { ...good, ...changes }, X);
      expect.fail("the trees were not refused");
    } catch (error) {
      expect(error).toBeInstanceOf(KingletError);
      expect((error as KingletError).message).toContain(message);
    }
  });
});
