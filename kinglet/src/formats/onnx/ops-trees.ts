import type { Value } from "../../graph/index.ts";
import type { TreeEnsembleAttributes } from "../../ops/index.ts";
import { add, div, sub } from "./math.ts";
import { concatenated } from "./ops-movement.ts";
import { bestOf, classesOf, classified, samplesOf, secondAbove, type Transform, transformed, transformOf } from "./scores.ts";
import type { Rule, Site } from "./site.ts";
import { type Forest, type Mode, type TreeNode, treeTables, type Vote } from "./tree-tables.ts";

const MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER"] as const satisfies readonly Mode[];

function modeOf(site: Site, mode: string | undefined): Mode {
  return MODES.find((known) => known === mode) ?? site.fail(`there is no mode "${mode}" of a node`);
}

/** Attributes that run along the nodes (or the votes) of a forest are equally long. */
function expectSameLength(site: Site, what: string, ...lists: readonly { readonly length: number }[]): void {
  if (lists.some(({ length }) => length !== lists[0]!.length)) site.fail(`the attributes of its ${what} differ in length`);
}

/** Trees as the older operators have them: nodes by tree and number, votes beside. */
function namedForest(site: Site, votes: "class" | "target"): Forest {
  const ints = (name: string): number[] => site.ints(name) ?? [];
  const [trees, ids, features] = [ints("nodes_treeids"), ints("nodes_nodeids"), ints("nodes_featureids")];
  const [yes, no, modes] = [ints("nodes_truenodeids"), ints("nodes_falsenodeids"), site.texts("nodes_modes") ?? []];
  const [values, missing] = [site.reals("nodes_values") ?? [], ints("nodes_missing_value_tracks_true")];
  expectSameLength(site, "nodes", trees, ids, features, yes, no, modes, values);
  const [votingTrees, votingNodes, targets] = [ints(`${votes}_treeids`), ints(`${votes}_nodeids`), ints(`${votes}_ids`)];
  const weights = site.reals(`${votes}_weights`) ?? [];
  expectSameLength(site, "votes", votingTrees, votingNodes, targets, weights);
  const numbers = new Map(ids.map((id, i) => [`${trees[i]}/${id}`, i]));
  if (numbers.size !== ids.length) site.fail("a node is there twice");
  const cast = ids.map((): Vote[] => []);
  weights.forEach((weight, i) =>
    cast[numbers.get(`${votingTrees[i]}/${votingNodes[i]}`) ?? site.fail("a node votes that is not there")]!.push({ target: targets[i]!, weight }),
  );
  const numberOf = (i: number, id: number): number => numbers.get(`${trees[i]}/${id}`) ?? -1;
  const nodes = modes.map((mode, i): TreeNode => {
    if (mode === "LEAF") return { votes: cast[i]! };
    const ways = { yes: numberOf(i, yes[i]!), no: numberOf(i, no[i]!) };
    return { mode: modeOf(site, mode), feature: features[i]!, values: [values[i]!], missing: missing[i] === 1, ...ways };
  });
  const roots = new Map<number, number>();
  trees.forEach((tree, i) => roots.set(tree, roots.get(tree) ?? i));
  return { nodes, roots: [...roots.values()] };
}

/** The sets of `BRANCH_MEMBER` nodes in their order, each ended by what is not a number. */
function memberSets(site: Site): number[][] {
  const sets: number[][] = [[]];
  for (const value of site.reals("membership_values") ?? []) {
    if (Number.isNaN(value)) sets.push([]);
    else sets.at(-1)!.push(value);
  }
  return sets;
}

/** Trees as TreeEnsemble has them: branches and leaves apart, by position. Leaves are numbered behind the branches. */
function splitForest(site: Site): Forest {
  const ints = (name: string): number[] => site.ints(name) ?? [];
  const [features, splits, modes] = [ints("nodes_featureids"), site.reals("nodes_splits") ?? [], site.reals("nodes_modes") ?? []];
  const [yes, yesLeaf] = [ints("nodes_truenodeids"), ints("nodes_trueleafs")];
  const [no, noLeaf, missing] = [ints("nodes_falsenodeids"), ints("nodes_falseleafs"), ints("nodes_missing_value_tracks_true")];
  expectSameLength(site, "nodes", features, splits, modes, yes, yesLeaf, no, noLeaf);
  const [targets, weights] = [ints("leaf_targetids"), site.reals("leaf_weights") ?? []];
  expectSameLength(site, "leaves", targets, weights);
  const sets = memberSets(site);
  const numberOf = (at: number, isLeaf: number): number =>
    at < 0 || (isLeaf === 0 && at >= features.length) ? -1 : at + (isLeaf === 0 ? 0 : features.length);
  const branches = features.map((feature, i): TreeNode => {
    const mode = modeOf(site, MODES[modes[i]!]);
    const values = mode === "BRANCH_MEMBER" ? (sets.shift() ?? []) : [splits[i]!];
    const ways = { yes: numberOf(yes[i]!, yesLeaf[i]!), no: numberOf(no[i]!, noLeaf[i]!) };
    return { mode, feature, values, missing: missing[i] === 1, ...ways };
  });
  return { nodes: [...branches, ...targets.map((target, i) => ({ votes: [{ target, weight: weights[i]! }] }))], roots: ints("tree_roots") };
}

/** The smallest type that holds the numbers of a table. */
function table(site: Site, numbers: readonly number[], shape: readonly number[]): Value {
  const largest = numbers.reduce((most, number) => Math.max(most, number), 0);
  const dtype = largest < 2 ** 8 ? "uint8" : largest < 2 ** 16 ? "uint16" : "int32";
  return site.constant(
    dtype === "uint8" ? Uint8Array.from(numbers) : dtype === "uint16" ? Uint16Array.from(numbers) : Int32Array.from(numbers),
    dtype,
    shape,
  );
}

function floatTable(site: Site, numbers: readonly number[], shape: readonly number[]): Value {
  return site.constant(Float32Array.from(numbers), "float32", shape);
}

function ensemble(site: Site, forest: Forest, targets: number, aggregate: TreeEnsembleAttributes["aggregate"]): Value {
  if (forest.roots.length === 0) site.fail("it has no trees");
  const x = samplesOf(site);
  for (const node of forest.nodes) {
    if (!("votes" in node) && !(node.feature >= 0 && node.feature < x.shape[1]!))
      site.fail(`a tree asks for feature ${node.feature} of ${x.shape[1]}`);
    if ("votes" in node && node.votes.some(({ target }) => !(target >= 0 && target < targets)))
      site.fail(`a leaf votes for none of ${targets} targets`);
  }
  const { missing, features, thresholds, children, roots, votes, votesEach, voted } = treeTables(forest, targets, aggregate);
  const [nodes, rows] = [features.length, votes.length / votesEach];
  const inputs = [
    x,
    table(site, features, [nodes]),
    floatTable(site, thresholds, [nodes]),
    table(site, children, [nodes, 2]),
    table(site, roots, [roots.length]),
    floatTable(site, votes, [rows, votesEach]),
    voted === null ? null : table(site, voted, [rows, votesEach]),
  ];
  return site.emit("treeEnsemble", inputs, { aggregate, targets, missing });
}

type Aggregation = "SUM" | "AVERAGE" | "MIN" | "MAX";

const AGGREGATES = { SUM: "sum", AVERAGE: "sum", MIN: "min", MAX: "max" } as const;

function regression(site: Site, forest: Forest, aggregation: Aggregation, transform: Transform): Value {
  const targets = site.int("n_targets", 0);
  const aggregate = AGGREGATES[aggregation] ?? site.fail(`there is no aggregate function "${aggregation}"`);
  const scores = ensemble(site, forest, targets, aggregate);
  const whole = aggregation === "AVERAGE" ? div(site, scores, forest.roots.length) : scores;
  return transformed(site, withBase(site, whole, site.reals("base_values") ?? []), transform);
}

function withBase(site: Site, scores: Value, base: readonly number[]): Value {
  if (base.length === 0) return scores;
  if (base.length !== scores.shape[1]) site.unsupported(`${base.length} base values for ${scores.shape[1]} scores are not supported`);
  return add(site, scores, floatTable(site, base, [base.length]));
}

const regressor: Rule = (site) =>
  regression(site, namedForest(site, "target"), site.text("aggregate_function", "SUM") as Aggregation, transformOf(site));

const TRANSFORMS: readonly Transform[] = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"];
const AGGREGATIONS: readonly Aggregation[] = ["AVERAGE", "SUM", "MIN", "MAX"];

const treeEnsemble: Rule = (site) => {
  const aggregation = AGGREGATIONS[site.int("aggregate_function", 1)] ?? site.fail("there is no such aggregate function");
  return regression(site, splitForest(site), aggregation, TRANSFORMS[site.int("post_transform", 0)] ?? site.fail("there is no such transform"));
};

function votesOf({ nodes }: Forest): Vote[] {
  return nodes.flatMap((node) => ("votes" in node ? node.votes : []));
}

/**
 * Two classes of which trees vote for one only: its score decides, against a half where all votes are for it, else against 0.
 * As in ONNX Runtime, the score is that of the second class; votes for the first make the first score as well.
 */
function twoClasses(site: Site, forest: Forest, voted: number): { position: Value; scores: Value } {
  const single = forest.nodes.map((node) => ("votes" in node ? { votes: node.votes.map(({ weight }) => ({ target: 0, weight })) } : node));
  const base = site.reals("base_values") ?? [];
  const [transform, isShare] = [transformOf(site), votesOf(forest).every(({ weight }) => weight >= 0)];
  if (voted !== 0 && base.length > 0) site.unsupported("base values beside votes for the second class alone are not supported");
  const score = withBase(site, ensemble(site, { ...forest, nodes: single }, 1, "sum"), base);
  const position = secondAbove(site, score, isShare ? 0.5 : 0);
  const opposite = site.emit("neg", [score]);
  if (voted !== 0) {
    const none = site.reshape(site.like(score, new Array<number>(score.shape[0]!).fill(0)), score.shape);
    return { position, scores: transformed(site, concatenated(site, [none, score], 1), transform) };
  }
  if (transform === "PROBIT") return site.unsupported("PROBIT of two classes with votes for one is not supported");
  if (transform === "LOGISTIC") return { position, scores: transformed(site, concatenated(site, [opposite, score], 1), transform) };
  return { position, scores: concatenated(site, [isShare ? sub(site, 1, score) : opposite, score], 1) };
}

const classifier: Rule = (site) => {
  const [forest, classes] = [namedForest(site, "class"), classesOf(site, "classlabels_int64s")];
  const count = classes.labels.length;
  if (count < 2) site.unsupported("a classifier of one class is not supported");
  const voted = new Set(votesOf(forest).map(({ target }) => target));
  if (count === 2 && voted.size === 1) {
    const { position, scores } = twoClasses(site, forest, [...voted][0]!);
    return classified(site, classes, position, scores);
  }
  const scores = withBase(site, ensemble(site, forest, count, "sum"), site.reals("base_values") ?? []);
  return classified(site, classes, bestOf(site, scores), transformed(site, scores, transformOf(site)));
};

export const TREES: Readonly<Record<string, Rule>> = {
  TreeEnsembleRegressor: regressor,
  TreeEnsembleClassifier: classifier,
  TreeEnsemble: treeEnsemble,
};
