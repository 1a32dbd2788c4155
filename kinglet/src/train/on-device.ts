import { KingletError } from "../base/index.ts";
import type { Graph } from "../graph/index.ts";
import { parameterValues } from "../ops/index.ts";
import { prepareForQuantization, withBatch } from "../passes/index.ts";
import { LOSS_NODE } from "./distill.ts";
import { type TrainingStep, trainingStep } from "./step.ts";

/** What learns of a network: all of its last layers, and of some before them the biases (Lin et al., NeurIPS 2022). */
export interface SparseUpdate {
  readonly layers: number;
  readonly biases: number;
}

/** A training step for one sample at a time, to be compiled for a microcontroller. */
export interface DeviceLearning {
  readonly step: TrainingStep;
  /** Its last node of an inference. */
  readonly learnsAfter: string;
  readonly update: SparseUpdate;
  /** Names of what learns, in the order of the network. */
  readonly trained: readonly string[];
}

/** A layer's parameters by name: matrices, and vectors. */
interface Layer {
  readonly weights: readonly string[];
  readonly biases: readonly string[];
}

/** Layers with parameters, the last first. */
function layersOf(network: Graph): Layer[] {
  const parameters = new Set(parameterValues(network).filter(({ dtype }) => dtype === "float32"));
  return network.nodes.toReversed().flatMap(({ inputs }): Layer[] => {
    const own = inputs.filter((value) => value !== null && parameters.has(value)).map((value) => value!);
    if (own.length === 0) return [];
    const names = (isBias: boolean): string[] => own.filter(({ shape }) => shape.length <= 1 === isBias).map(({ name }) => name);
    return [{ weights: names(false), biases: names(true) }];
  });
}

function namesOf(layers: readonly Layer[], update: SparseUpdate): Set<string> {
  const whole = layers.slice(0, update.layers).flatMap(({ weights, biases }) => [...weights, ...biases]);
  const vectors = layers.slice(update.layers, update.layers + update.biases).flatMap(({ biases }) => biases);
  return new Set([...whole, ...vectors]);
}

/** The largest number up to `most` for which it fits, where each that is larger needs more; −1 where not even `least` does. */
function largest(least: number, most: number, fits: (count: number) => boolean): number {
  let [low, high] = [least - 1, most];
  while (low < high) {
    const middle = low + Math.ceil((high - low) / 2);
    if (fits(middle)) low = middle;
    else high = middle - 1;
  }
  return low < least ? -1 : low;
}

function learningOf(network: Graph, layers: readonly Layer[], update: SparseUpdate): DeviceLearning {
  const names = namesOf(layers, update);
  const step = trainingStep(network, { optimizer: { kind: "sgd", momentum: 0 }, frozen: (name) => !names.has(name) });
  const graph = { ...step.graph, name: network.name };
  return { step: { ...step, graph }, learnsAfter: LOSS_NODE, update, trained: step.trained.map(({ variable }) => variable.name) };
}

/**
 * The training step of a float network that learns as much as fits: whole layers from the end, then biases before them. Gradient
 * descent without momentum, one sample at a time; normalizations are folded, so what learns is what the firmware runs.
 * @param fits whether a step's arena is small enough. Without it everything learns.
 * @throws KingletError `does-not-fit` where not even the last layer can learn, what `trainingStep` throws.
 */
export function deviceLearning(given: Graph, fits?: (learning: DeviceLearning) => boolean): DeviceLearning {
  const network = withBatch(prepareForQuantization(given), 1);
  const layers = layersOf(network);
  if (layers.length === 0) throw new KingletError("misuse", "the network has no layer that could learn in floating point");
  const tried = (update: SparseUpdate): boolean => fits === undefined || fits(learningOf(network, layers, update));
  const whole = largest(1, layers.length, (count) => tried({ layers: count, biases: 0 }));
  if (whole < 0)
    throw new KingletError("does-not-fit", "there is not memory enough for even the last layer to learn", {
      hint: "Allow more with --ram, or take a board with more.",
    });
  const more = largest(0, layers.length - whole, (count) => count === 0 || tried({ layers: whole, biases: count }));
  return learningOf(network, layers, { layers: whole, biases: more });
}
