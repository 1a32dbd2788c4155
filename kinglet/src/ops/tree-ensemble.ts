import { elementCount, type TypedArray } from "../base/index.ts";
import type { Attributes, Node, ValueType } from "../graph/index.ts";
import { type Buffer, type Expr, f32, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { fillBuffer } from "./move.ts";
import {
  attributesOf,
  badNode,
  type CaseInput,
  type InferredType,
  inputOf,
  type OpCase,
  type OpDef,
  outputOf,
  refuse,
  suffixOf,
  typeAt,
  unsupportedTypes,
} from "./op.ts";

/**
 * Decision trees as tables, so that code does not grow with them. A node asks whether a feature is at most a threshold; every other
 * question can be put that way (`formats/onnx/tree-tables.ts`). Numbers below that of the nodes name nodes, those from there on rows of
 * votes: alike leaves share a row. A child lies behind its parent, so that a walk ends after as many steps as its tree is deep.
 */

export interface TreeEnsembleAttributes {
  /** How what the trees vote for one target becomes its score; a target without a vote scores 0. */
  readonly aggregate: "sum" | "min" | "max";
  /** Scores of a sample. */
  readonly targets: number;
  /** A feature stands in its table as twice its number, plus 1 where what is not a number counts as at most the threshold. */
  readonly missing: boolean;
}

/** The node's inputs behind x [n, features]; `VOTED` may be absent where each row votes for every target in turn. */
const [FEATURES, CHILDREN, ROOTS, VOTES, VOTED] = [1, 3, 4, 5, 6] as const;
export const THRESHOLDS = 2;

const DEEPEST = 2 ** 16 - 1;
const TABLE_TYPES = ["uint8", "uint16", "int32"];

function inferTrees(inputs: readonly (ValueType | null)[], attributes: Attributes): InferredType[] {
  const { targets, aggregate } = attributesOf<TreeEnsembleAttributes>({ attributes });
  const x = typeAt("treeEnsemble", inputs, 0, 2);
  const nodes = typeAt("treeEnsemble", inputs, FEATURES, 1).shape[0]!;
  const [thresholds, children] = [typeAt("treeEnsemble", inputs, THRESHOLDS, 1), typeAt("treeEnsemble", inputs, CHILDREN, 2)];
  const [votes, voted] = [typeAt("treeEnsemble", inputs, VOTES, 2), inputs[VOTED]];
  typeAt("treeEnsemble", inputs, ROOTS, 1);
  if (thresholds.shape[0] !== nodes || children.shape[0] !== nodes || children.shape[1] !== 2)
    refuse("treeEnsemble", "its tables of nodes differ in length");
  if (!["sum", "min", "max"].includes(aggregate)) refuse("treeEnsemble", `there is no aggregate "${aggregate}"`);
  if (!(Number.isInteger(targets) && targets > 0)) refuse("treeEnsemble", `${targets} targets`);
  if (voted ? voted.shape.join() !== votes.shape.join() : votes.shape[1] !== targets) refuse("treeEnsemble", "its votes do not fit the targets");
  return [{ dtype: "float32", shape: [x.shape[0]!, targets] }];
}

function tableOf(node: Node, index: number): TypedArray {
  return inputOf(node, index).data ?? fail(node, "needs its tables as constants");
}

function fail(node: Node, what: string): never {
  throw badNode(node, what);
}

/** Steps from each root to its deepest leaf. The walk trusts the tables, so they are checked here. */
function depthsOf(node: Node): number[] {
  const { targets, missing } = attributesOf<TreeEnsembleAttributes>(node);
  const [features, children, roots] = [tableOf(node, FEATURES), tableOf(node, CHILDREN), tableOf(node, ROOTS)];
  const [width, rows] = [inputOf(node, 0).shape[1]!, inputOf(node, VOTES).shape[0]!];
  const count = features.length;
  const depths = new Uint32Array(count);
  const below = (at: number): number => (at < count ? depths[at]! : 0);
  for (let i = count - 1; i >= 0; i--) {
    const [beyond, within] = [Number(children[2 * i]), Number(children[2 * i + 1])];
    if (!(beyond > i && within > i && beyond < count + rows && within < count + rows)) fail(node, `has a node ${i} whose children are not behind it`);
    if (!(Number(features[i]) >> (missing ? 1 : 0) < width && Number(features[i]) >= 0))
      fail(node, `asks for a feature that samples of ${width} lack`);
    depths[i] = 1 + Math.max(below(beyond), below(within));
    if (depths[i]! > DEEPEST) fail(node, `has a tree deeper than ${DEEPEST} nodes`);
  }
  const voted = node.inputs[VOTED] ? tableOf(node, VOTED) : [];
  if (voted.some((target) => !(Number(target) >= 0 && Number(target) < targets))) fail(node, `votes for a target that is none of ${targets}`);
  return Array.from(roots as ArrayLike<number>, (root) => (root >= 0 && root < count + rows ? below(root) : fail(node, `has no node ${root}`)));
}

const START = { sum: 0, min: Infinity, max: -Infinity };

/** Asks a node about its feature's value; 0 or 1 each: is it at most the threshold, is it not a number (and then never at most)? */
export type Question = (at: Expr, value: Expr) => { readonly within: Expr; readonly notNumber: Expr };

/** The question in floats. */
function floatQuestion(k: KernelBuilder): Question {
  const thresholds = k.input(THRESHOLDS, "thresholds");
  return (at, value) => ({ within: value.le(thresholds.load(at)), notNumber: value.ne(value) });
}

/** From a root to a leaf, whose row of votes it gives. */
function walk(k: KernelBuilder, node: Node, question: Question, input: Buffer, sample: Expr, root: Expr, depth: Expr): Expr {
  const { missing } = attributesOf<TreeEnsembleAttributes>(node);
  const [features, children] = [k.input(FEATURES, "features"), k.input(CHILDREN, "children")];
  const nodes = k.int("nodes", inputOf(node, FEATURES).shape[0]!);
  const row = k.let("row", sample.mul(k.int("features_each", inputOf(node, 0).shape[1]!)));
  const at = k.variable("at", root);
  k.for("step", 0, depth, () =>
    k.if(at.get().lt(nodes), () => {
      const code = k.let("code", features.load(at.get()));
      const value = k.let("value", input.load(row.add(missing ? code.shr(1) : code)));
      const { within, notNumber } = question(at.get(), value);
      const taken = k.let("taken", missing ? within.or(notNumber.and(code)) : within);
      at.set(children.load(at.get().mul(2).add(taken)));
    }),
  );
  return at.get().sub(nodes);
}

/** The loops around a question: `form` tells kernels with other questions apart. */
export function treeLoops(k: KernelBuilder, node: Node, ask: (k: KernelBuilder) => Question, form: string): KernelInstance {
  const { aggregate, targets, missing } = attributesOf<TreeEnsembleAttributes>(node);
  const [x, votes] = [inputOf(node, 0), inputOf(node, VOTES)];
  const isTable = [FEATURES, CHILDREN, ROOTS, VOTED].every((index) => TABLE_TYPES.includes(node.inputs[index]?.dtype ?? "uint8"));
  if (x.dtype !== "float32" || votes.dtype !== "float32" || inputOf(node, THRESHOLDS).dtype !== "float32" || !isTable) throw unsupportedTypes(node);
  const depths = depthsOf(node);
  const [input, question] = [k.input(0, "x"), ask(k)];
  const roots = k.input(ROOTS, "roots");
  const depth = k.constant("depths", "u16", Uint16Array.from(depths));
  const weights = k.input(VOTES, "votes");
  const targetOf = node.inputs[VOTED] ? k.input(VOTED, "voted") : null;
  const output = k.output(0, "y");
  const [count, each] = [k.int("targets", targets), k.int("votes_each", votes.shape[1]!)];
  // All at once: whose place depends on data must not meet bytes that nobody has written.
  fillBuffer(k, output, elementCount(outputOf(node).shape), START[aggregate]);
  k.for("n", 0, k.int("samples", x.shape[0]!), (n) => {
    const scores = k.let("scores", n.mul(count));
    k.for("tree", 0, k.int("trees", depths.length), (tree) => {
      const first = k.let("first", walk(k, node, question, input, n, roots.load(tree), depth.load(tree)).mul(each));
      k.for("v", 0, each, (v) => {
        const target = k.let("target", scores.add(targetOf === null ? v : targetOf.load(first.add(v))));
        const [score, vote] = [output.load(target), weights.load(first.add(v))];
        output.store(target, aggregate === "sum" ? score.add(vote) : aggregate === "min" ? score.min(vote) : score.max(vote));
      });
    });
    if (aggregate === "sum") return;
    k.for("u", 0, count, (u) => {
      const score = k.let("score", output.load(scores.add(u)));
      output.store(scores.add(u), score.abs().eq(Infinity).select(f32(0), score));
    });
  });
  const types = [FEATURES, CHILDREN].map((index) => suffixOf(inputOf(node, index).dtype)).join("_");
  const variant = [aggregate, ...(missing ? ["missing"] : []), ...(targetOf === null ? [] : ["sparse"]), form, types].join("_");
  return k.finish(`tree_ensemble_${variant}`, "Decision trees: a walk down each, and what the leaves' votes come to.");
}

const table = (dtype: "uint8" | "uint16" | "int32" | "float32", shape: readonly number[], contents: readonly number[]): CaseInput => ({
  ...{ dtype, shape, contents },
  constant: true,
});

/** Two trees over three features: one of depth 2 with shared leaves, and a single question. */
function example(name: string, more: Partial<TreeEnsembleAttributes>, types: readonly ["uint8" | "uint16", "uint8" | "uint16" | "int32"]): OpCase {
  const attributes = { aggregate: "sum", targets: 2, missing: false, ...more };
  const features = [0, 2, 1, 0].map((feature, i) => (attributes.missing ? 2 * feature + (i % 2) : feature));
  const isSparse = attributes.aggregate !== "sum";
  const votes = isSparse ? table("float32", [3, 1], [0.5, -1.25, 2]) : table("float32", [3, 2], [0.5, 0.25, -1.25, 1, 2, -0.5]);
  return {
    name,
    attributes,
    inputs: [
      { dtype: "float32", shape: [6, 3] },
      table(types[0], [4], features),
      table("float32", [4], [0.1, -0.5, 0.75, 0]),
      table(types[1], [4, 2], [1, 2, 4, 5, 6, 5, 5, 4]),
      table("uint16", [2], [0, 3]),
      votes,
      isSparse ? table("uint8", [3, 1], [0, 1, 0]) : null,
    ],
    outputs: [{ dtype: "float32", shape: [6, 2] }],
  };
}

export const treeEnsemble: OpDef = {
  name: "treeEnsemble",
  infer: inferTrees,
  loops: (k, node) => treeLoops(k, node, floatQuestion, "f32"),
  cases: [
    example("sum", {}, ["uint8", "uint8"]),
    example("sum with missing values", { missing: true }, ["uint16", "uint16"]),
    example("min of single votes", { aggregate: "min" }, ["uint8", "int32"]),
    example("max of single votes", { aggregate: "max" }, ["uint8", "uint16"]),
  ],
};
