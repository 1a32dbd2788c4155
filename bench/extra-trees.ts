import { Xorshift32 } from "../kinglet/src/base/index.ts";
import { testOnnx } from "../kinglet/src/formats/onnx/test-model.ts";

/** Extremely randomized trees (Geurts, Ernst & Wehenkel, 2006; random features and thresholds) on seeded clusters, as an ONNX file. */

/** What the benchmarks call it. */
export const EXTRA_TREES = "extra_trees";

const NEARNESS = 0.3;
const [TREES, DEPTH, FEATURES, CLASSES, SAMPLES, SEED] = [50, 8, 20, 3, 2000, 17] as const;

interface Sample {
  readonly x: readonly number[];
  readonly label: number;
}

/** Noise around a centre for each class, in which the centres nearly drown. */
function clusters(random: Xorshift32): Sample[] {
  const row = (): number[] => Array.from({ length: FEATURES }, () => Math.fround(random.float() + random.float() + random.float()));
  const centres = Array.from({ length: CLASSES }, row);
  return Array.from({ length: SAMPLES }, (_, i) => ({
    x: row().map((noise, f) => Math.fround(centres[i % CLASSES]![f]! * NEARNESS + noise)),
    label: i % CLASSES,
  }));
}

class Forest {
  readonly nodes: { tree: number; id: number; mode: string; feature: number; value: number; yes: number; no: number }[] = [];
  readonly votes: { tree: number; id: number; label: number; weight: number }[] = [];
  private readonly random: Xorshift32;

  constructor(random: Xorshift32) {
    this.random = random;
  }

  grow(tree: number, samples: readonly Sample[], depth: number, next: { id: number }): number {
    const id = next.id++;
    const feature = this.random.int(0, FEATURES - 1);
    const values = samples.map(({ x }) => x[feature]!);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const value = Math.fround(low + ((high - low) * (this.random.float() + 1)) / 2);
    const isLeaf = depth === 0 || low === high || new Set(samples.map(({ label }) => label)).size === 1;
    const node = { tree, id, mode: isLeaf ? "LEAF" : "BRANCH_LEQ", feature: isLeaf ? 0 : feature, value: isLeaf ? 0 : value, yes: 0, no: 0 };
    this.nodes.push(node);
    if (isLeaf) this.vote(tree, id, samples);
    else {
      node.yes = this.grow(
        tree,
        samples.filter(({ x }) => x[feature]! <= value),
        depth - 1,
        next,
      );
      node.no = this.grow(
        tree,
        samples.filter(({ x }) => x[feature]! > value),
        depth - 1,
        next,
      );
    }
    return id;
  }

  private vote(tree: number, id: number, samples: readonly Sample[]): void {
    for (let label = 0; label < CLASSES; label++) {
      const share = samples.filter((sample) => sample.label === label).length / samples.length;
      this.votes.push({ tree, id, label, weight: Math.fround(share / TREES) });
    }
  }
}

/** A forest of 50 trees of depth 8 over 20 features and three classes, as a TreeEnsembleClassifier with any number of samples. */
export function extraTrees(): Uint8Array {
  const random = new Xorshift32(SEED);
  const samples = clusters(random);
  const forest = new Forest(random);
  for (let tree = 0; tree < TREES; tree++) forest.grow(tree, samples, DEPTH, { id: 0 });
  const { nodes, votes } = forest;
  const attributes = {
    nodes_treeids: { ints: nodes.map(({ tree }) => tree) },
    nodes_nodeids: { ints: nodes.map(({ id }) => id) },
    nodes_featureids: { ints: nodes.map(({ feature }) => feature) },
    nodes_modes: { texts: nodes.map(({ mode }) => mode) },
    nodes_values: { floats: nodes.map(({ value }) => value) },
    nodes_truenodeids: { ints: nodes.map(({ yes }) => yes) },
    nodes_falsenodeids: { ints: nodes.map(({ no }) => no) },
    class_treeids: { ints: votes.map(({ tree }) => tree) },
    class_nodeids: { ints: votes.map(({ id }) => id) },
    class_ids: { ints: votes.map(({ label }) => label) },
    class_weights: { floats: votes.map(({ weight }) => weight) },
    classlabels_int64s: { ints: Array.from({ length: CLASSES }, (_, label) => label) },
  };
  const outputs = ["label", "scores"];
  const node = { op: "TreeEnsembleClassifier", domain: "ai.onnx.ml", inputs: ["x"], outputs, attributes };
  return testOnnx({ classical: 3, inputs: [{ name: "x", type: 1, dims: ["N", FEATURES] }], outputs, nodes: [node] });
}
