import { KingletError } from "../../base/index.ts";
import type { TreeEnsembleAttributes } from "../../ops/index.ts";

/** Trees as ONNX files have them become the tables of `treeEnsemble`: every question is put as "at most this threshold?". */

export type Mode = "BRANCH_LEQ" | "BRANCH_LT" | "BRANCH_GTE" | "BRANCH_GT" | "BRANCH_EQ" | "BRANCH_NEQ" | "BRANCH_MEMBER";

/** What a leaf adds to one score. */
export interface Vote {
  readonly target: number;
  readonly weight: number;
}

export interface Branch {
  readonly mode: Mode;
  readonly feature: number;
  /** Floats of single precision that the feature is compared with; several for `BRANCH_MEMBER`. */
  readonly values: readonly number[];
  /** What is not a number answers yes, whatever the comparison says. */
  readonly missing: boolean;
  /** Where to go on, by number in the forest. */
  readonly yes: number;
  readonly no: number;
}

export type TreeNode = Branch | { readonly votes: readonly Vote[] };

export interface Forest {
  readonly nodes: readonly TreeNode[];
  readonly roots: readonly number[];
}

export interface TreeTables {
  readonly missing: boolean;
  readonly features: readonly number[];
  readonly thresholds: readonly number[];
  /** Where each node goes beyond its threshold and up to it; numbers from that of the nodes on are rows of votes. */
  readonly children: readonly number[];
  readonly roots: readonly number[];
  readonly votesEach: number;
  readonly votes: readonly number[];
  /** The target of each vote; null where every row votes for all targets in turn. */
  readonly voted: readonly number[] | null;
}

function bad(message: string): never {
  throw new KingletError("bad-file", message, { hint: "Export the model again." });
}

const bits = new Int32Array(1);
const float = new Float32Array(bits.buffer);

/** The largest float32 below another one; undefined for −∞. */
function floatBelow(x: number): number | undefined {
  if (x === -Infinity) return undefined;
  if (x === 0) return -(2 ** -149);
  float[0] = x;
  bits[0]! += x > 0 ? -1 : 1;
  return float[0];
}

/** Answers along the number line: `answers[i]` up to and with `cuts[i]`, the last one beyond all. */
interface Line {
  readonly cuts: readonly number[];
  readonly answers: readonly boolean[];
}

/** Yes for single numbers. */
function membersLine(values: readonly number[]): Line {
  const cuts: number[] = [];
  const answers = [false];
  const held = [...new Set(values)].sort((a, b) => a - b);
  for (const value of held) {
    const below = floatBelow(value);
    if (below === undefined) answers[0] = true;
    else if (cuts.at(-1) === below) answers[answers.length - 1] = true;
    else {
      cuts.push(below);
      answers.push(true);
    }
    cuts.push(value);
    answers.push(false);
  }
  return { cuts, answers };
}

function halves(cut: number | undefined, below: boolean): Line {
  return cut === undefined ? { cuts: [], answers: [!below] } : { cuts: [cut], answers: [below, !below] };
}

function inverted({ cuts, answers }: Line): Line {
  return { cuts, answers: answers.map((answer) => !answer) };
}

function lineOf({ mode, values }: Branch): Line {
  if (mode !== "BRANCH_MEMBER" && values.some(Number.isNaN)) bad("a tree compares with what is not a number");
  const [value] = values as [number];
  switch (mode) {
    case "BRANCH_LEQ":
      return halves(value, true);
    case "BRANCH_LT":
      return halves(floatBelow(value), true);
    case "BRANCH_GTE":
      return halves(floatBelow(value), false);
    case "BRANCH_GT":
      return halves(value, false);
    case "BRANCH_EQ":
    case "BRANCH_MEMBER":
      return membersLine(values);
    case "BRANCH_NEQ":
      return inverted(membersLine(values));
  }
}

function branchOf(node: TreeNode | undefined): Branch | null {
  if (node === undefined) return bad("a tree goes on at a node that it lacks");
  return "votes" in node ? null : node;
}

/** Branches that the roots lead to, each before those behind it. @throws KingletError for trees that go round in a circle */
function inOrder({ nodes, roots }: Forest): number[] {
  const state = new Map<number, "open" | "done">();
  const done: number[] = [];
  const stack = roots.map((at) => ({ at, leave: false }));
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const branch = branchOf(nodes[top.at]);
    if (branch === null || state.get(top.at) === "done") continue;
    if (top.leave) {
      state.set(top.at, "done");
      done.push(top.at);
      continue;
    }
    state.set(top.at, "open");
    stack.push({ at: top.at, leave: true });
    for (const at of [branch.no, branch.yes]) {
      if (state.get(at) === "open") bad("the branches of a tree go round in a circle");
      stack.push({ at, leave: false });
    }
  }
  return done.reverse();
}

/** Where a question leads while the tables grow: to another question, or to a node of the forest. */
type Way = { readonly question: number } | { readonly node: number };

/** Writes the questions of all branches. */
class Questions {
  readonly features: number[] = [];
  readonly thresholds: number[] = [];
  /** Whether what is not a number counts as at most the threshold. */
  readonly within: boolean[] = [];
  readonly ways: [beyond: Way, within: Way][] = [];
  /** The first question of each branch. */
  readonly entries = new Map<number, number>();

  add(at: number, branch: Branch): void {
    this.entries.set(at, this.features.length);
    const { cuts, answers } = lineOf(branch);
    const missing = branch.missing || branch.mode === "BRANCH_NEQ";
    const way = (answer: boolean): Way => ({ node: answer ? branch.yes : branch.no });
    // All numbers have one answer: what is not a number may have the other.
    if (cuts.length === 0) this.ways[this.ask(branch.feature, Infinity, false)] = [way(missing), way(answers[0]!)];
    else this.search(branch.feature, cuts, 0, cuts.length, answers.indexOf(missing), (i) => way(answers[i]!));
  }

  private ask(feature: number, threshold: number, within: boolean): number {
    this.thresholds.push(threshold);
    this.within.push(within);
    return this.features.push(feature) - 1;
  }

  /** Halves the stretches from `first` to `last` until one is left; what is not a number ends up in stretch `nan`. */
  private search(feature: number, cuts: readonly number[], first: number, last: number, nan: number, way: (stretch: number) => Way): Way {
    if (first === last) return way(first);
    const middle = (first + last - 1) >> 1;
    const question = this.ask(feature, cuts[middle]!, nan <= middle);
    const within = this.search(feature, cuts, first, middle, nan, way);
    this.ways[question] = [this.search(feature, cuts, middle + 1, last, nan, way), within];
    return { question };
  }
}

/** Rows of votes; leaves that vote alike share one. */
class Ballots {
  readonly rows: (readonly Vote[])[] = [];
  private readonly known = new Map<string, number>();

  row(votes: readonly Vote[]): number {
    const sorted = [...votes].sort((a, b) => a.target - b.target);
    const key = sorted.map(({ target, weight }) => `${target}:${Object.is(weight, -0) ? "-0" : weight}`).join();
    const before = this.known.get(key);
    if (before !== undefined) return before;
    this.known.set(key, this.rows.length);
    return this.rows.push(sorted) - 1;
  }
}

/** Votes that change nothing fill rows up. */
const IDLE = { sum: 0, min: Infinity, max: -Infinity };

function voteTables(rows: readonly (readonly Vote[])[], targets: number, aggregate: TreeEnsembleAttributes["aggregate"]) {
  const votesEach = rows.reduce((most, row) => Math.max(most, row.length), 1);
  const isDense = votesEach === targets && rows.every((row) => new Set(row.map(({ target }) => target)).size === row.length);
  const full = rows.map((row) =>
    Array.from({ length: votesEach }, (_, i): Vote => {
      const vote = isDense ? row.find(({ target }) => target === i) : row[i];
      return vote ?? { target: isDense ? i : 0, weight: IDLE[aggregate] };
    }),
  );
  return { votesEach, votes: full.flat().map(({ weight }) => weight), voted: isDense ? null : full.flat().map(({ target }) => target) };
}

/** @throws KingletError `bad-file` for trees that are none */
export function treeTables(forest: Forest, targets: number, aggregate: TreeEnsembleAttributes["aggregate"]): TreeTables {
  const questions = new Questions();
  for (const at of inOrder(forest)) questions.add(at, forest.nodes[at] as Branch);
  // No tensor is empty: trees without a question get one that none of them asks.
  if (questions.features.length === 0)
    questions.add(-1, { mode: "BRANCH_LEQ", feature: 0, values: [0], missing: false, yes: forest.roots[0]!, no: forest.roots[0]! });
  const [count, ballots] = [questions.features.length, new Ballots()];
  const numberOf = (way: Way): number => {
    if ("question" in way) return way.question;
    const node = forest.nodes[way.node]!;
    return "votes" in node ? count + ballots.row(node.votes) : questions.entries.get(way.node)!;
  };
  const children = questions.ways.flatMap((ways) => ways.map(numberOf));
  const roots = forest.roots.map((node) => numberOf({ node }));
  const missing = questions.within.includes(true);
  const features = missing ? questions.features.map((feature, i) => 2 * feature + Number(questions.within[i])) : questions.features;
  return { missing, features, thresholds: questions.thresholds, children, roots, ...voteTables(ballots.rows, targets, aggregate) };
}
