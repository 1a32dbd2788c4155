import { describe, expect, test } from "vitest";
import { fromBytes, KingletError, Xorshift32 } from "../base/index.ts";
import { execute, type Execution, seededSample } from "../driver/index.ts";
import { type Graph, type Node, printGraph } from "../graph/index.ts";
import { parameterValues } from "../ops/index.ts";
import { runPasses, withBatch } from "../passes/index.ts";
import { evaluate } from "../targets/js/index.ts";
import { cnn1d, dsCnn, gru, lstm, mlp, mobilenetV1, NETWORKS, type NetworkName, shufflenetV2 } from "./index.ts";

const CLASSES = 5;

/** Smallest forms that still have every layer; what an option means nothing to leaves it alone. */
function small(name: NetworkName, batch = 1): Graph {
  if (name === "gru" || name === "lstm") return { gru, lstm }[name]({ length: 6, classes: CLASSES, batch });
  if (name === "shufflenet_v2") return shufflenetV2({ width: 0.5, resolution: 32, classes: CLASSES, batch });
  return NETWORKS[name]({ width: 0.25, resolution: 32, classes: CLASSES, seed: 7, batch });
}

/** As after some training: statistics, scales and offsets that differ from channel to channel. */
function withStatistics(graph: Graph): Graph {
  const random = new Xorshift32(3);
  const near = (center: number, reach: number): number => center + reach * random.float();
  const replaced = new Map<number, Float32Array>();
  for (const { op, inputs } of graph.nodes) {
    if (op !== "batchNorm") continue;
    [near.bind(null, 1, 0.3), near.bind(null, 0, 0.2), near.bind(null, 0, 0.2), near.bind(null, 1, 0.5)].forEach((draw, i) => {
      replaced.set(inputs[i + 1]!.id, Float32Array.from({ length: inputs[i + 1]!.shape[0]! }, draw));
    });
  }
  const values = graph.values.map((value) => ({ ...value, data: replaced.get(value.id) ?? value.data }));
  const nodes = graph.nodes.map((node): Node => ({ ...node, inputs: node.inputs.map((value) => (value === null ? null : values[value.id]!)) }));
  return { ...graph, values, nodes };
}

const floatsOf = (bytes: Uint8Array): Float32Array => fromBytes("float32", bytes) as Float32Array;

/** Largest difference from the expected numbers, relative to the largest of them. */
function difference(got: Float32Array, expected: Float32Array): number {
  const largest = Math.max(...expected.map(Math.abs));
  expect(largest).toBeGreaterThan(1e-3);
  return Math.max(...expected.map((x, i) => Math.abs(got[i]! - x))) / largest;
}

describe.each(Object.keys(NETWORKS) as NetworkName[])("%s", (name) => {
  const graph = withStatistics(small(name));
  const sample = seededSample(graph, 1);

  test("is for another batch what it is when built for it", () => {
    expect(printGraph(withBatch(small(name), 3))).toEqual(printGraph(small(name, 3)));
    expect(printGraph(withBatch(small(name, 3), 1))).toEqual(printGraph(small(name)));
  });

  test("has its normalization folded, and gives what it gave with it", async () => {
    expect(runPasses(graph).nodes.filter(({ op }) => op === "batchNorm")).toEqual([]);
    const expected = evaluate(graph, sample.map(floatsOf))[0] as Float32Array;
    const results = (execution: Execution): Float32Array => floatsOf(execution.outputs[0]![0]!);
    for (const via of ["js", "wasm"] as const) expect(difference(results(await execute(graph, via, [sample])), expected), via).toBeLessThan(1e-5);
  });
});

describe("options", () => {
  test("a batch is rows of their own", () => {
    for (const make of [dsCnn, cnn1d, gru, lstm, mlp]) {
      const [one, many] = [make({ width: 0.5 }), make({ width: 0.5, batch: 3 })];
      expect(many.inputs[0]!.shape).toEqual([3, ...one.inputs[0]!.shape.slice(1)]);
      const rows = [1, 2, 3].map((seed) => floatsOf(seededSample(one, seed)[0]!));
      const together = Float32Array.from(rows.flatMap((row) => [...row]));
      const apart = rows.flatMap((row) => [...(evaluate(one, [row])[0] as Float32Array)]);
      expect([...(evaluate(many, [together])[0] as Float32Array)]).toEqual(apart);
    }
  });

  test("classes, channels, size and seed", () => {
    const graph = dsCnn({ size: [20, 12], inputChannels: 2, classes: 7, batch: 2 });
    expect([graph.inputs[0]!.shape, graph.outputs[0]!.shape]).toEqual([
      [2, 20, 12, 2],
      [2, 7],
    ]);
    const first = (seed: number): number[] => [...(parameterValues(dsCnn({ seed }))[0]!.data as Float32Array)];
    expect(first(1)).toEqual(first(1));
    expect(first(1)).not.toEqual(first(2));
  });

  test("logits, or probabilities where they are asked for", () => {
    expect(mlp().nodes.at(-1)!.op).toBe("fullyConnected");
    expect(mlp({ probabilities: true }).nodes.at(-1)!.op).toBe("softmax");
    const deployed = { width: 0.25, resolution: 32, precision: "int8" } as const;
    expect(mobilenetV1(deployed).nodes.at(-1)!.op).toBe("softmax");
    expect(mobilenetV1({ ...deployed, probabilities: false }).nodes.at(-1)!.op).toBe("fullyConnected");
  });

  test("weights have the variance that keeps signals of rectified layers their size", () => {
    const weights = parameterValues(mlp()).find(({ name }) => name === "dense_1_weights")!.data as Float32Array;
    const variance = weights.reduce((sum, w) => sum + w * w, 0) / weights.length;
    expect(variance / (2 / 784)).toBeCloseTo(1, 1);
  });

  test.each([
    [() => mlp({ batch: 0 }), /batch is 0/],
    [() => mobilenetV1({ resolution: 31.5 }), /resolution is 31.5/],
    [() => mobilenetV1({ width: -1 }), /width is -1/],
    [() => shufflenetV2({ width: 0.75 }), /no width 0.75/],
  ])("a size that no network has is refused: %#", (make, message) => {
    expect(make).toThrow(KingletError);
    expect(make).toThrow(message);
  });
});
