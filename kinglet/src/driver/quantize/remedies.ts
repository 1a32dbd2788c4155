import type { Graph, Node, Value } from "../../graph/index.ts";
import { floatBounds, inputOf, outputOf, type Activation } from "../../ops/index.ts";
import {
  adaRound,
  type ChannelStatistics,
  type LayerOverride,
  layerView,
  type QuantizedNode,
  quantizeGraph,
  type QuantizeOptions,
  type RoundingProblem,
} from "../../passes/index.ts";
import type { Sample } from "../tensors.ts";
import { canSample, Patches } from "./patches.ts";
import { createValueRunner, realNumbers, sampleFor, type ValueRunner } from "./values.ts";

/** Output positions that remedies look at in every sample. */
const PER_SAMPLE = { correct: 256, round: 32 };
/** Rounding and correction learn from so many samples at most. */
const MOST_SAMPLES = { correct: 32, round: 64 };

/** Mean, deviation and least of every channel of the layers' outputs. */
export function channelStatistics(graph: Graph, samples: readonly Sample[]): Map<number, ChannelStatistics[]> {
  const runner = createValueRunner(graph);
  const values = graph.nodes.filter(canSample).map((node) => outputOf(node));
  const sums = new Map(
    values.map((value) => [value.id, Array.from({ length: value.shape.at(-1)! }, () => ({ n: 0, sum: 0, squares: 0, least: Infinity }))]),
  );
  for (const sample of samples) {
    runner.run(sample, (read) => {
      for (const value of values) {
        const channels = sums.get(value.id)!;
        read(value)?.forEach((x, i) => {
          const channel = channels[i % channels.length]!;
          channel.n++;
          channel.sum += x;
          channel.squares += x * x;
          channel.least = Math.min(channel.least, x);
        });
      }
    });
  }
  const finish = ({ n, sum, squares, least }: { n: number; sum: number; squares: number; least: number }): ChannelStatistics => {
    const mean = n === 0 ? 0 : sum / n;
    return { mean, deviation: n === 0 ? 0 : Math.sqrt(Math.max(0, squares / n - mean * mean)), least: n === 0 ? 0 : least };
  };
  return new Map([...sums].map(([id, channels]) => [id, channels.map(finish)]));
}

/** What a value is read from: views have no bytes of their own. */
function readable(graph: Graph, value: Value): Value {
  const node = graph.nodes.find((each) => each.outputs.includes(value));
  return node?.op === "reshape" ? readable(graph, inputOf(node, 0)) : value;
}

type Solve = (layer: QuantizedNode, patches: Patches) => LayerOverride;

/** Sees the layers in order, each with its inputs as the network with all earlier layers solved computes them. */
function solveInOrder(
  source: Graph,
  options: QuantizeOptions,
  samples: readonly Sample[],
  perSample: number,
  solve: Solve,
  tell: Tell,
): Map<number, LayerOverride> {
  const overrides = new Map(options.overrides ?? []);
  const runner = createValueRunner(source);
  const { layers } = quantizeGraph(source, options);
  const solvable = layers.filter(({ source: node }) => canSample(node));
  solvable.forEach(({ index }, done) => {
    tell?.(done, solvable.length);
    const model = quantizeGraph(source, { ...options, overrides });
    const layer = model.layers.find((each) => each.index === index)!;
    const patches = new Patches(layer.source, perSample);
    fill(patches, runner, source, model.graph, layer, samples);
    overrides.set(index, { ...overrides.get(index), ...solve(layer, patches) });
  });
  return overrides;
}

/** Reads one value of a graph for any sample; nothing that comes after it is compiled or run. */
function createReader(graph: Graph, value: Value): (sample: Sample) => Float32Array | undefined {
  const input = graph.inputs.indexOf(value);
  if (input >= 0) return (sample) => realNumbers(value, sample[input]!);
  const runner = createValueRunner({ ...graph, outputs: [value] });
  return (sample) => runner.run(sample, (read) => read(value));
}

function fill(patches: Patches, runner: ValueRunner, source: Graph, graph: Graph, layer: QuantizedNode, samples: readonly Sample[]): void {
  const real = readable(source, inputOf(layer.source, 0));
  const input = source.inputs.indexOf(real);
  const readGot = createReader(graph, readable(graph, inputOf(layer.node, 0)));
  for (const sample of samples) {
    const x = input >= 0 ? realNumbers(real, sample[input]!) : runner.run(sample, (read) => read(real));
    const y = readGot(sampleFor(graph, source, sample));
    if (x !== undefined && y !== undefined) patches.add(x, y);
  }
}

/** Told before each layer. */
export type Tell = ((done: number, total: number) => void) | undefined;

function realWeight(node: Node, o: number): Float64Array {
  const [view, data] = [layerView(node), inputOf(node, 1).data!];
  return Float64Array.from({ length: view.width }, (_, k) => Number(data[o * view.stepO + k * view.stepK]));
}

function weightScale(layer: QuantizedNode, o: number): number {
  const { scales } = inputOf(layer.node, 1).quantization!;
  return scales.length > 1 ? scales[o]! : scales[0]!;
}

/** Inputs shared by output channels are gathered once. */
function rowsByChannel(patches: Patches): (o: number) => ReturnType<Patches["rowsOf"]> {
  let [last, rows] = [-1, undefined as ReturnType<Patches["rowsOf"]> | undefined];
  return (o) => {
    const shared = patches.sharedBy(o);
    if (rows === undefined || shared !== last) [last, rows] = [shared, patches.rowsOf(o)];
    return rows;
  };
}

/** E[W x] − E[W̃ x̃] of one output channel before its activation. */
function meanError(weights: Float64Array, stored: Float64Array, rows: { real: Float32Array; got: Float32Array }): number {
  let total = 0;
  const width = weights.length;
  for (let i = 0; i < rows.real.length; i++) total += weights[i % width]! * rows.real[i]! - stored[i % width]! * rows.got[i]!;
  return rows.real.length === 0 ? 0 : (total * width) / rows.real.length;
}

function shiftOf(layer: QuantizedNode, patches: Patches): LayerOverride {
  const view = layerView(layer.source);
  const rowsOf = rowsByChannel(patches);
  const biasShift = Float64Array.from({ length: view.outputs }, (_, o) => {
    const scale = weightScale(layer, o);
    const stored = realWeight(layer.node, o).map((q) => q * scale);
    return meanError(realWeight(layer.source, o), stored, rowsOf(o));
  });
  return { biasShift };
}

/**
 * Empirical bias correction (Nagel et al. 2019): the mean error that quantization of the weights, and of everything
 * before, adds to each output channel on the calibration samples is taken off its bias, layer after layer.
 */
export function correctBias(source: Graph, options: QuantizeOptions, samples: readonly Sample[], tell?: Tell): Map<number, LayerOverride> {
  return solveInOrder(source, options, samples.slice(0, MOST_SAMPLES.correct), PER_SAMPLE.correct, shiftOf, tell);
}

/** Multiply-accumulates that all of AdaRound may take, so that large networks stay within minutes. */
const MOST_WORK = 3e10;
const BATCH = 32;

/** Optimiser steps that keep the whole network within bounds. */
function roundingIterations(source: Graph): number {
  const weights = source.nodes.filter(canSample).reduce((sum, node) => sum + inputOf(node, 1).data!.length, 0);
  return Math.max(100, Math.min(1000, Math.floor(MOST_WORK / (2 * BATCH * Math.max(1, weights)))));
}

function problemOf(
  layer: QuantizedNode,
  patches: Patches,
  o: number,
  rows: { real: Float32Array; got: Float32Array },
  limit: number,
): RoundingProblem {
  const scale = weightScale(layer, o);
  const weights = realWeight(layer.source, o).map((w) => w / scale);
  const bias = Number(layer.source.inputs[2]?.data?.[o] ?? 0) / scale;
  const { low, high } = floatBounds((layer.source.attributes["activation"] ?? "none") as Activation);
  const targets = new Float64Array(patches.rows);
  rows.real.forEach((x, i) => {
    targets[Math.floor(i / weights.length)]! += x * weights[i % weights.length]!;
  });
  return { weights, limit, inputs: rows.got, rows: patches.rows, targets: targets.map((t) => t + bias), bias, low: low / scale, high: high / scale };
}

/**
 * AdaRound on every convolution and fully connected layer, one after the other, on sampled outputs. The time is bounded
 * by a budget of multiply-accumulates: large networks get fewer steps.
 */
export function roundAdaptively(source: Graph, options: QuantizeOptions, samples: readonly Sample[], tell?: Tell): Map<number, LayerOverride> {
  const iterations = roundingIterations(source);
  const limit = options.bits === 4 ? 7 : 127;
  const solve: Solve = (layer, patches) => {
    const view = layerView(layer.source);
    const weights = Int8Array.from(inputOf(layer.node, 1).data as Int8Array);
    const rowsOf = rowsByChannel(patches);
    for (let o = 0; o < view.outputs && patches.rows > 0; o++) {
      adaRound(problemOf(layer, patches, o, rowsOf(o), limit), { iterations, seed: 20 + o }).forEach((q, k) => {
        weights[o * view.stepO + k * view.stepK] = q;
      });
    }
    return { weights, scales: inputOf(layer.node, 1).quantization!.scales };
  };
  const few = samples.slice(0, MOST_SAMPLES.round);
  return solveInOrder(source, options, few, Math.max(PER_SAMPLE.round, Math.ceil(256 / few.length)), solve, tell);
}

/** A layer and what reads its output: their tensors become int16 together, since a kernel's input and output have one type. */
export function islandAround(source: Graph, index: number): Set<number> {
  const outputs = new Set(source.nodes[index]!.outputs.map((value) => value.id));
  const readers = source.nodes.flatMap((node, i) => (node.inputs.some((value) => value !== null && outputs.has(value.id)) ? [i] : []));
  return new Set([index, ...readers]);
}
