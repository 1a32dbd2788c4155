import type { Xorshift32 } from "../../kinglet/src/base/index.ts";
import type { TestAttribute } from "../../kinglet/src/formats/onnx/test-model.ts";

/** Random trees as attributes of ONNX's operators. */

type Attributes = Record<string, TestAttribute>;

export interface ForestPlan {
  readonly trees: number;
  readonly depth: number;
  readonly features: number;
  /** Modes that nodes choose from. */
  readonly modes: readonly string[];
  readonly missing: boolean;
  /** What a leaf of a tree votes: target and weight. */
  readonly vote: (tree: number) => readonly (readonly [target: number, weight: number])[];
}

interface Columns {
  readonly trees: number[];
  readonly ids: number[];
  readonly features: number[];
  readonly modes: string[];
  readonly values: number[];
  readonly yes: number[];
  readonly no: number[];
  readonly missing: number[];
  readonly votes: { tree: number; id: number; target: number; weight: number }[];
}

/** Thresholds on a grid that samples lie on, too, so that equality happens. */
export const onGrid = (random: Xorshift32): number => random.int(-8, 8) / 4;

/** Adds a node with all below it, before its parent knows its number: a tree's nodes are listed from its root on. */
function grow(columns: Columns, plan: ForestPlan, random: Xorshift32, tree: number, depth: number, next: { id: number }): number {
  const id = next.id++;
  const at = columns.ids.push(id) - 1;
  const isLeaf = depth === 0 || (depth < plan.depth && random.int(0, 5) === 0);
  columns.trees.push(tree);
  columns.features.push(isLeaf ? 0 : random.int(0, plan.features - 1));
  columns.modes.push(isLeaf ? "LEAF" : plan.modes[random.int(0, plan.modes.length - 1)]!);
  columns.values.push(isLeaf ? 0 : onGrid(random));
  columns.missing.push(plan.missing && !isLeaf ? random.int(0, 1) : 0);
  columns.yes.push(0);
  columns.no.push(0);
  if (isLeaf) for (const [target, weight] of plan.vote(tree)) columns.votes.push({ tree, id, target, weight });
  else {
    columns.yes[at] = grow(columns, plan, random, tree, depth - 1, next);
    columns.no[at] = grow(columns, plan, random, tree, depth - 1, next);
  }
  return id;
}

function grown(plan: ForestPlan, random: Xorshift32): Columns {
  const columns: Columns = { trees: [], ids: [], features: [], modes: [], values: [], yes: [], no: [], missing: [], votes: [] };
  for (let tree = 0; tree < plan.trees; tree++) grow(columns, plan, random, tree, plan.depth, { id: 0 });
  return columns;
}

/** Of TreeEnsembleClassifier (`class`) or TreeEnsembleRegressor (`target`). */
export function forestAttributes(plan: ForestPlan, random: Xorshift32, kind: "class" | "target"): Attributes {
  const columns = grown(plan, random);
  const { votes } = columns;
  return {
    nodes_treeids: { ints: columns.trees },
    nodes_nodeids: { ints: columns.ids },
    nodes_featureids: { ints: columns.features },
    nodes_modes: { texts: columns.modes },
    nodes_values: { floats: columns.values },
    nodes_truenodeids: { ints: columns.yes },
    nodes_falsenodeids: { ints: columns.no },
    ...(plan.missing ? { nodes_missing_value_tracks_true: { ints: columns.missing } } : {}),
    [`${kind}_treeids`]: { ints: votes.map(({ tree }) => tree) },
    [`${kind}_nodeids`]: { ints: votes.map(({ id }) => id) },
    [`${kind}_ids`]: { ints: votes.map(({ target }) => target) },
    [`${kind}_weights`]: { floats: votes.map(({ weight }) => weight) },
  };
}

const SPLIT_MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER"];

/** The same of TreeEnsemble: branches and leaves apart. A tree that is one leaf becomes a question with that leaf on both sides. */
export function splitAttributes(plan: ForestPlan, random: Xorshift32): Attributes {
  const columns = grown(plan, random);
  const branches = columns.ids.flatMap((_, i) => (columns.modes[i] === "LEAF" ? [] : [i]));
  const leaves = columns.votes;
  const key = (tree: number, id: number): string => `${tree}/${id}`;
  const branchAt = new Map(branches.map((i, at) => [key(columns.trees[i]!, columns.ids[i]!), at]));
  const leafAt = new Map(leaves.map(({ tree, id }, at) => [key(tree, id), at]));
  const way = (i: number, id: number): number => branchAt.get(key(columns.trees[i]!, id)) ?? leafAt.get(key(columns.trees[i]!, id))!;
  const isLeaf = (i: number, id: number): number => (branchAt.has(key(columns.trees[i]!, id)) ? 0 : 1);
  // The engine has sets of whole numbers only.
  const sets = branches
    .filter((i) => columns.modes[i] === "BRANCH_MEMBER")
    .map(() => Array.from({ length: random.int(1, 9) }, () => random.int(0, 9)));
  const floats = (values: readonly number[]): TestAttribute => ({
    tensor: { dims: [values.length], type: 1, raw: new Uint8Array(Float32Array.from(values).buffer) },
  });
  return {
    n_targets: { int: 1 + Math.max(...leaves.map(({ target }) => target)) },
    tree_roots: { ints: Array.from({ length: plan.trees }, (_, tree) => branchAt.get(key(tree, 0))!) },
    nodes_featureids: { ints: branches.map((i) => columns.features[i]!) },
    nodes_splits: floats(branches.map((i) => columns.values[i]!)),
    nodes_modes: { tensor: { dims: [branches.length], type: 2, raw: Uint8Array.from(branches, (i) => SPLIT_MODES.indexOf(columns.modes[i]!)) } },
    nodes_truenodeids: { ints: branches.map((i) => way(i, columns.yes[i]!)) },
    nodes_trueleafs: { ints: branches.map((i) => isLeaf(i, columns.yes[i]!)) },
    nodes_falsenodeids: { ints: branches.map((i) => way(i, columns.no[i]!)) },
    nodes_falseleafs: { ints: branches.map((i) => isLeaf(i, columns.no[i]!)) },
    ...(plan.missing ? { nodes_missing_value_tracks_true: { ints: branches.map((i) => columns.missing[i]!) } } : {}),
    ...(sets.length > 0 ? { membership_values: floats(sets.flatMap((set) => [...set, Number.NaN])) } : {}),
    leaf_targetids: { ints: leaves.map(({ target }) => target) },
    leaf_weights: floats(leaves.map(({ weight }) => weight)),
  };
}
