import { KingletError } from "../base/index.ts";
import { Liveness, valueBytes } from "../fusion/index.ts";
import type { Graph } from "../graph/index.ts";
import { fuseUpdates, prepareForQuantization, updateEarly, withBatch } from "../passes/index.ts";
import { LOSS_NODE } from "./distill.ts";
import { gradientEnergy } from "./gradient-energy.ts";
import { type LearningLayer, learningLayers } from "./learning-layers.ts";
import { chooseUpdate, type SparseUpdate, wholeLayers } from "./sparse-update.ts";
import { type StepOptions, type TrainingStep, trainingStep } from "./step.ts";

/** A training step for one sample at a time, to be compiled for a microcontroller. */
export interface DeviceLearning {
  /** The network that learns, its passes done, for one sample. */
  readonly network: Graph;
  /** How its step is written: a `TrainingSession` of network and options learns the same, to the bit. */
  readonly options: StepOptions;
  readonly step: TrainingStep;
  /** Its last node of an inference. */
  readonly learnsAfter: string;
  readonly update: SparseUpdate;
  /** Names of what learns, in the order of the network. */
  readonly trained: readonly string[];
}

/** What may learn. */
export interface DeviceLearningOptions {
  /** Only the last layer learns. */
  readonly headOnly?: boolean;
  /** Most bytes of the arena, and what a step's is once it is compiled. */
  readonly limit?: { readonly ram: number; readonly arenaBytes: (learning: DeviceLearning) => number };
}

/**
 * The search estimates; its plans are compiled from the largest that might fit to the smallest. Estimates know nothing of outputs that lie
 * over their inputs, nor of gaps, so they err to both sides.
 */
const ESTIMATES = [1.6, 1.3, 1.1, 0.95, 0.8, 0.65];

/** State, and the most bytes that live at once beside it. */
function estimatedBytes({ step }: DeviceLearning): number {
  const change = new Int32Array(step.graph.nodes.length + 2);
  for (const { value, first, last } of new Liveness(step.graph).lives) {
    change[first]! += valueBytes(value);
    change[last + 1]! -= valueBytes(value);
  }
  let [live, peak] = [0, 0];
  for (const each of change) {
    live += each;
    peak = Math.max(peak, live);
  }
  return peak + step.state.reduce((sum, { value }) => sum + valueBytes(value), 0);
}

function learningOf(network: Graph, layers: readonly LearningLayer[], update: SparseUpdate): DeviceLearning {
  const biases = layers.slice(0, update.biases).flatMap((layer) => layer.biases);
  const shares = new Map(update.weights.map(({ layer, channels }) => [layer, channels]));
  const weights = layers
    .filter(({ name }) => shares.has(name))
    .flatMap((layer) => layer.weights.map(({ name }) => [name, shares.get(layer.name)!] as const));
  const names = new Set([...biases.map(({ name }) => name), ...weights.map(([name]) => name)]);
  const options: StepOptions = { optimizer: { kind: "sgd", momentum: 0 }, frozen: (name) => !names.has(name), channels: new Map(weights) };
  const step = trainingStep(network, options);
  const graph = { ...updateEarly(fuseUpdates(step.graph)), name: network.name };
  return { network, options, step: { ...step, graph }, learnsAfter: LOSS_NODE, update, trained: step.trained.map(({ variable }) => variable.name) };
}

/**
 * The training step of a network of floats or int8 that learns as much as fits (see `chooseUpdate`). Gradient descent without momentum,
 * one sample at a time; normalizations are folded, so what learns is what the firmware runs. int8 weights stay int8, with
 * quantization-aware scaling.
 * @throws KingletError `does-not-fit` where not even the last layer can learn, what `trainingStep` throws.
 */
export function deviceLearning(given: Graph, { headOnly = false, limit }: DeviceLearningOptions = {}): DeviceLearning {
  const network = withBatch(prepareForQuantization(given), 1);
  const all = learningLayers(network);
  const layers = headOnly ? all.slice(0, 1) : all;
  if (layers.length === 0) throw new KingletError("misuse", "the network has no layer that could learn in floating point or int8");
  const whole = learningOf(network, layers, wholeLayers(layers, layers.length));
  return limit === undefined ? whole : fitting(network, layers, whole, limit);
}

function fitting(
  network: Graph,
  layers: readonly LearningLayer[],
  whole: DeviceLearning,
  limit: NonNullable<DeviceLearningOptions["limit"]>,
): DeviceLearning {
  const { ram, arenaBytes } = limit;
  if (estimatedBytes(whole) <= ESTIMATES[0]! * ram && arenaBytes(whole) <= ram) return whole;
  const energy = gradientEnergy(network);
  const learnsNothing = ({ biases, weights }: SparseUpdate): boolean =>
    weights.length === 0 && layers.slice(0, biases).every((layer) => layer.biases.length === 0);
  const tried = new Set<string>();
  for (const share of ESTIMATES) {
    const estimated = (update: SparseUpdate): boolean => learnsNothing(update) || estimatedBytes(learningOf(network, layers, update)) <= share * ram;
    const update = chooseUpdate(layers, energy, estimated);
    if (update === undefined || learnsNothing(update) || tried.has(JSON.stringify(update))) continue;
    tried.add(JSON.stringify(update));
    const learning = learningOf(network, layers, update);
    if (arenaBytes(learning) <= ram) return learning;
  }
  throw new KingletError("does-not-fit", "there is not memory enough for even the last layer to learn", {
    hint: "Allow more with --ram, or take a board with more.",
  });
}
