import { describe, expect, test } from "vitest";
import { Xorshift32 } from "../base/index.ts";
import { datasetFromArrays, splitDataset } from "../data/index.ts";
import { type Graph, GraphBuilder, type Value } from "../graph/index.ts";
import { applyOp, GATES, LSTM } from "../ops/index.ts";
import { dsCnn, gru, lstm, mlp, NETWORKS, type NetworkName } from "../zoo/index.ts";
import { evaluateOn, type Optimizer, type SessionState, trainClassifier, trainingStep, TrainingSession } from "./index.ts";

/** A small network with every kind of layer that training treats apart. */
const network = (batch: number): Graph => dsCnn({ variant: "digits", size: [8, 8], batch, classes: 3, width: 0.5, seed: 3 });

const OPTIMIZERS: readonly Optimizer[] = [
  { kind: "sgd", momentum: 0.9, nesterov: true, weightDecay: 1e-3 },
  { kind: "adam", weightDecay: 1e-2, decoupled: true },
  { kind: "rmsprop" },
];

function batchOf(graph: Graph, seed: number): { data: Float32Array; targets: Float32Array } {
  const random = new Xorshift32(seed);
  const [batch, classes] = graph.outputs[0]!.shape as [number, number];
  const data = Float32Array.from({ length: graph.inputs[0]!.shape.reduce((p, d) => p * d, 1) }, () => random.float());
  const targets = new Float32Array(batch * classes);
  for (let i = 0; i < batch; i++) targets[i * classes + (i % classes)] = 1;
  return { data, targets };
}

function run(session: TrainingSession, graph: Graph, from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => {
    const { data, targets } = batchOf(graph, from + i + 1);
    return session.run([data], targets, 0.01).loss;
  });
}

function expectSame(a: SessionState, b: SessionState): void {
  expect(a.steps).toBe(b.steps);
  for (const [name, values] of a.variables) expect(values, name).toEqual(b.variables.get(name));
}

describe.each(OPTIMIZERS)("training with $kind", (optimizer) => {
  test("gives the plain loops' bits in WebAssembly", () => {
    const graph = network(6);
    const sessions = (["plain", "wasm"] as const).map((target) => new TrainingSession(graph, { optimizer, clipNorm: 1, dropout: 0.2 }, target));
    const losses = sessions.map((session) => run(session, graph, 0, 2));
    expect(losses[1]).toEqual(losses[0]);
    expectSame(sessions[1]!.save(), sessions[0]!.save());
  });

  test("goes on from a saved state bit for bit", () => {
    const graph = network(6);
    const whole = new TrainingSession(graph, { optimizer, dropout: 0.2 });
    run(whole, graph, 0, 4);
    const first = new TrainingSession(graph, { optimizer, dropout: 0.2 });
    run(first, graph, 0, 2);
    const second = new TrainingSession(graph, { optimizer, dropout: 0.2 });
    second.restore(first.save());
    run(second, graph, 2, 4);
    expectSame(second.save(), whole.save());
  });
});

const sgd: Optimizer = { kind: "sgd" };

test("a frozen network trains only what is left of it", () => {
  const graph = network(6);
  const session = new TrainingSession(graph, { optimizer: sgd, frozen: (name) => !name.startsWith("logits") });
  const names = session.step.trained.map(({ variable }) => variable.name);
  expect(names.length).toBeGreaterThan(0);
  expect(names.every((name) => name.startsWith("logits"))).toBe(true);
  const backward = session.step.graph.nodes.map(({ op }) => op);
  expect(backward).not.toContain("depthwiseConv2dFilterGradient");
  expect(backward).not.toContain("batchNormTraining");
});

test("a loss that is not a number changes nothing and says where", () => {
  const graph = mlp({ batch: 3 });
  const session = new TrainingSession(graph, { optimizer: sgd });
  const { data, targets } = batchOf(graph, 1);
  const before = session.save();
  const large = data.map(() => 3e38);
  expect(session.run([large], targets, 0.1).loss).toBeNaN();
  expectSame(session.save(), before);
  expect(session.whereNotFinite([large], targets)).toMatch(/first in "dense_1"/);
});

test.each([
  ["crossEntropy", { loss: "crossEntropy" }],
  ["meanSquare", { loss: "meanSquare" }],
  ["distillation", { distill: { teacher: network(1) } }],
] as const)("with %s nothing changes before the loss is known", (_name, options) => {
  const graph = network(6);
  const session = new TrainingSession(graph, { optimizer: { kind: "adam" }, ...options });
  const { data, targets } = batchOf(graph, 1);
  const before = session.save();
  expect(session.run([data], targets.fill(Number.NaN), 0.1).loss).toBeNaN();
  expectSame(session.save(), before);
});

test("tensors of one name are trained apart", () => {
  const graph = mlp({ inputs: 4, hidden: [3, 5], classes: 2, batch: 2 });
  const alike = { ...graph, values: graph.values.map((value) => (value.data === undefined ? value : Object.assign(value, { name: "w" }))) };
  const session = new TrainingSession(alike, { optimizer: sgd });
  for (const [constant, data] of session.trainedConstants()) expect(data).toEqual(constant.data);
  expect(new Set(session.step.state.map(({ name }) => name)).size).toBe(session.step.state.length);
});

test("a batch of another size, and a state of another network, are refused", () => {
  const session = new TrainingSession(mlp({ batch: 2 }), { optimizer: sgd });
  expect(() => session.run([new Float32Array(3)], new Float32Array(20), 0.1)).toThrow(/takes 1568 numbers, not 3/);
  expect(() => session.restore({ steps: 1, variables: new Map() })).toThrow(/does not have/);
  expect(() => new TrainingSession(mlp({ batch: 2 }), { optimizer: { kind: "sgd", momentum: Number.NaN } })).toThrow(/momentum/);
});

/** Three kinds of 8x8 pictures: a row, a column, a dot, somewhere, in noise. */
function shapes(samples: number): ReturnType<typeof datasetFromArrays> {
  const random = new Xorshift32(9);
  const data = new Float32Array(samples * 64);
  const labels = Int32Array.from({ length: samples }, (_, s) => s % 3);
  labels.forEach((label, s) => {
    for (let i = 0; i < 64; i++) data[s * 64 + i] = 0.2 * random.float();
    const [at, to] = [random.int(1, 6), random.int(1, 6)];
    for (let i = 0; i < 8; i++) data[s * 64 + (label === 0 ? at * 8 + i : label === 1 ? i * 8 + at : at * 8 + to)]! += 1;
  });
  return datasetFromArrays({ shape: [8, 8, 1], data, labels, classes: ["row", "column", "dot"] });
}

test("a classifier learns, the same way each time, and its network runs one sample at a time", async () => {
  const dataset = shapes(360);
  const split = splitDataset(dataset, { test: 0.25, validation: 0.1 });
  const options = { epochs: 6, batchSize: 30, optimizer: { kind: "adam" }, schedule: { kind: "cosine", rate: 0.02 } } as const;
  const trained = await trainClassifier(network(1), dataset, split, options);
  const again = await trainClassifier(network(1), dataset, split, options);
  expect(again.reports.map(({ loss }) => loss)).toEqual(trained.reports.map(({ loss }) => loss));
  expect(trained.reports.at(-1)!.validation).not.toBeNull();
  const { accuracy, confusion, samples, mistakes } = await evaluateOn(trained.network, dataset, split.test);
  expect(trained.network.inputs[0]!.shape[0]).toBe(1);
  expect(samples).toBe(split.test.length);
  expect(mistakes.length).toBe(samples - Math.round(accuracy * samples));
  expect(confusion.flat().reduce((a, b) => a + b, 0)).toBe(samples);
  expect(accuracy).toBeGreaterThan(0.95);
});

test("numbers that are missing in the data are found", async () => {
  const dataset = shapes(60);
  const split = splitDataset(dataset, { test: 0.2 });
  const broken = datasetFromArrays({
    shape: [8, 8, 1],
    data: new Float32Array(60 * 64).fill(Number.NaN),
    labels: dataset.index.labels,
    classes: dataset.info.classes,
  });
  const training = trainClassifier(network(1), broken, split, { epochs: 1, batchSize: 6, optimizer: sgd, schedule: { kind: "constant", rate: 0.1 } });
  await expect(training).rejects.toThrow(/batch 1 of epoch 1 has NaN at element 0/);
});

test("weights that run away are found at the end of the epoch, even where activations hide them", async () => {
  const dataset = shapes(60);
  const data = new Float32Array(60 * 64).fill(3e38);
  const large = datasetFromArrays({ shape: [8, 8, 1], data, labels: dataset.index.labels, classes: dataset.info.classes });
  const options = { epochs: 1, batchSize: 6, optimizer: sgd, schedule: { kind: "constant", rate: 0.1 } } as const;
  await expect(trainClassifier(network(1), large, splitDataset(dataset, { test: 0.2 }), options)).rejects.toThrow(
    /is no longer finite after epoch 1/,
  );
});

test.each(Object.keys(NETWORKS) as NetworkName[])("every operator of %s has a gradient, and every parameter an update", (name) => {
  const { graph, trained } = trainingStep(NETWORKS[name]({ width: 0.5, resolution: 32 }), { optimizer: { kind: "sgd" } });
  const changed = new Set(graph.nodes.flatMap(({ op, inputs }) => (op === "sgdUpdate" || op === "movingAverage" ? [inputs[0]!.name] : [])));
  expect(trained.length).toBeGreaterThan(3);
  expect(trained.flatMap(({ variable }) => (changed.has(variable.name) ? [] : [variable.name]))).toEqual([]);
});

test.each([gru, lstm])("a recurrent network learns: %#", (make) => {
  const graph = make({ batch: 4, length: 6, units: 8, classes: 3, seed: 2 });
  const session = new TrainingSession(graph, { optimizer: { kind: "adam" } });
  const { data, targets } = batchOf(graph, 1);
  const losses = Array.from({ length: 40 }, () => session.run([data], targets, 0.02).loss);
  expect(losses.at(-1)).toBeLessThan(0.2 * losses[0]!);
});

/** One LSTM operator and a layer behind its whole sequence. */
function operatorLstm(): Graph {
  const [batch, length, features, units, classes] = [3, 4, 2, 5, 3];
  const random = new Xorshift32(8);
  const b = new GraphBuilder("recurrent");
  const float = (shape: number[]) => ({ dtype: "float32", shape }) as const;
  const weights = (name: string, shape: number[]): Value => {
    const count = shape.reduce((product, size) => product * size, 1);
    return b.constant(
      name,
      float(shape),
      Float32Array.from({ length: count }, () => random.float()),
    );
  };
  const inputs: (Value | null)[] = Array.from({ length: 24 }, () => null);
  inputs[LSTM.input] = b.input("x", float([batch, length, features]));
  for (const gate of GATES) {
    inputs[gate.inputWeights] = weights(`${gate.name}_w`, [units, features]);
    inputs[gate.recurrentWeights] = weights(`${gate.name}_r`, [units, units]);
    inputs[gate.bias] = weights(`${gate.name}_b`, [units]);
  }
  inputs[LSTM.outputState] = b.variable("hidden", float([batch, units]));
  inputs[LSTM.cellState] = b.variable("cell", float([batch, units]));
  const attributes = { activation: "tanh", cellClip: 0, projClip: 0, timeMajor: false, intermediateScales: [], intermediateZeroPoints: [] };
  const y = applyOp(b, "lstm", inputs, attributes, "lstm")[0]!;
  const logits = [y, weights("logits_w", [classes, length * units]), null];
  b.output(applyOp(b, "fullyConnected", logits, { activation: "none", keepDims: false }, "logits")[0]!);
  return b.build();
}

test("the weights of an LSTM operator are trained, and go back into it", () => {
  const graph = operatorLstm();
  const session = new TrainingSession(graph, { optimizer: { kind: "adam" } });
  const { data, targets } = batchOf(graph, 1);
  const losses = Array.from({ length: 30 }, () => session.run([data], targets, 0.05).loss);
  expect(losses.at(-1)).toBeLessThan(0.3 * losses[0]!);
  const trained = session.trainedConstants();
  expect(trained.size).toBe(13);
  for (const [constant, contents] of trained) {
    expect(graph.values).toContain(constant);
    expect(contents).not.toEqual(constant.data);
  }
});

test("a batch normalization that is frozen lets gradients through", () => {
  const graph = network(6);
  const session = new TrainingSession(graph, { optimizer: sgd, frozen: (name) => /_(scale|offset)$/.test(name) });
  const backward = session.step.graph.nodes.map(({ op }) => op);
  expect(backward).toContain("depthwiseConv2dFilterGradient");
  expect(backward).toContain("batchNorm");
  const [first] = run(session, graph, 0, 1);
  for (let i = 0; i < 10; i++) run(session, graph, 0, 1);
  expect(run(session, graph, 0, 1)[0]).toBeLessThan(first!);
});
