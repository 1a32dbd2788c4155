import { describe, expect, test } from "vitest";
import { compileGraph } from "../driver/index.ts";
import { type Graph, GraphBuilder, type Value } from "../graph/index.ts";
import { fuseUpdates, runPasses, updateEarly } from "../passes/index.ts";
import { peakLiveBytes } from "../plan/index.ts";
import { lower } from "../targets/lower.ts";
import { mlp, mobilenetV1 } from "../zoo/index.ts";
import { gradientEnergy } from "./gradient-energy.ts";
import { deviceLearning, TrainingSession, trainingStep } from "./index.ts";
import type { LearningLayer } from "./learning-layers.ts";
import { chooseUpdate, type SparseUpdate } from "./sparse-update.ts";

/** The network of the visual wake words benchmark, in int8. */
function visualWakeWords(): Graph {
  return mobilenetV1({ width: 0.25, resolution: 96, classes: 2, precision: "int8" });
}

describe("what learns under a limit", () => {
  const builder = new GraphBuilder("values");
  const value = (name: string, shape: number[]): Value =>
    builder.constant(name, { dtype: "int8", shape }, new Int8Array(shape.reduce((p, d) => p * d, 1)));
  const layers = ["c", "b", "a"].map((name): LearningLayer => {
    return { name, weights: [value(`${name}_w`, [4, 8])], biases: [value(`${name}_b`, [4])], channels: 8, divisible: true };
  });
  const energy = (gains: Record<string, number>): Map<string, Float32Array> =>
    new Map(
      layers.flatMap(({ name }) => [[`${name}_w`, new Float32Array(8).fill(gains[name]! / 8)] as const, [`${name}_b`, new Float32Array(4)] as const]),
    );
  const size = ({ biases, weights }: SparseUpdate): number => 10 * biases + weights.reduce((sum, { channels }) => sum + channels, 0);

  test("first the weights that contribute most, then shares of the others", () => {
    const update = chooseUpdate(layers, energy({ a: 4, b: 100, c: 10 }), (each) => size(each) <= 32);
    expect(update).toEqual({
      biases: 2,
      weights: [
        { layer: "c", channels: 4, of: 8 },
        { layer: "b", channels: 8, of: 8 },
      ],
    });
  });

  test("a shallow backward pass where the last layers contribute more than what is saved", () => {
    expect(chooseUpdate(layers, energy({ a: 0, b: 0, c: 10 }), (each) => size(each) <= 30)).toEqual({
      biases: 2,
      weights: [{ layer: "c", channels: 8, of: 8 }],
    });
  });

  test("nothing, where not even the last biases fit", () => {
    expect(chooseUpdate(layers, energy({ a: 1, b: 1, c: 1 }), () => false)).toBeUndefined();
  });
});

test("of weights a share learns, and the rest stays", () => {
  const [inputs, learned, name] = [8, 3, "dense_1_weights"];
  const channels = new Map([[name, learned]]);
  const options = { optimizer: { kind: "sgd", momentum: 0 }, frozen: (each: string) => each !== name, channels } as const;
  const session = new TrainingSession(mlp({ inputs, hidden: [4], classes: 2 }), options, "plain");
  session.run([Float32Array.from({ length: inputs }, (_, i) => 1 + i)], Float32Array.of(1, 0), 0.1);
  const [constant, after] = [...session.trainedConstants()][0]!;
  const changed = Array.from(after as Float32Array, (x, i) => x !== constant.data![i]);
  expect(changed.every((is, i) => !is || i % inputs < learned)).toBe(true);
  expect(changed.filter((is) => is).length).toBeGreaterThan(0);
  expect(session.variable(name)).toHaveLength((learned * constant.data!.length) / inputs);
});

describe("a training step of a MobileNet of the size for visual wake words", () => {
  const network = visualWakeWords();

  test("needs less than half of the memory when each weight is updated as soon as its gradient exists", () => {
    const { graph, state } = trainingStep(network, { optimizer: { kind: "sgd", momentum: 0 } });
    const ready = runPasses(graph);
    const weights = state.reduce((sum, { value: { initial } }) => sum + initial!.byteLength, 0);
    const bytes = (step: Graph): number => weights + peakLiveBytes(lower(step, { optimize: "size" }));
    expect(bytes(updateEarly(fuseUpdates(ready)))).toBeLessThan(bytes(ready) / 2);
  });

  test("plans under 256 KB with a sparse update, weights included", () => {
    const arenaBytes = (graph: Graph): number => compileGraph(graph, { target: "c", optimize: "size" }).plan.arenaBytes;
    const { update, step } = deviceLearning(network, { limit: { ram: 256 * 1024, arenaBytes: (learning) => arenaBytes(learning.step.graph) } });
    expect(arenaBytes(step.graph)).toBeLessThanOrEqual(256 * 1024);
    expect(update.biases).toBeGreaterThan(8);
    expect(update.weights.length).toBeGreaterThan(4);
  });

  test("every parameter has something to gain", () => {
    const energy = gradientEnergy(network);
    expect([...energy.keys()]).toContain("logits_weights");
    expect(energy.get("logits_bias")!.every((each) => each > 0)).toBe(true);
  });
});
