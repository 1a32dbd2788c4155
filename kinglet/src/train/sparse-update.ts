import { dtypeBytes, elementCount } from "../base/index.ts";
import type { LearningLayer } from "./learning-layers.ts";

/** What learns of a network: the biases of its last layers, and of some layers the weights (Lin et al., NeurIPS 2022). */
export interface SparseUpdate {
  /** So many layers from the end learn their biases. */
  readonly biases: number;
  /** Layers whose weights learn, the last first, for so many of their input channels. */
  readonly weights: readonly { readonly layer: string; readonly channels: number; readonly of: number }[];
}

/** Shares of a layer's input channels that are tried. */
const SHARES = [1, 1 / 2, 1 / 4, 1 / 8];
/** Shares of the deepest possible update that are tried: what reaches less far has more memory for weights. */
const DEPTHS = [1, 1 / 2, 1 / 4, 1 / 8];

/** All weights and biases of the last `count` layers. */
export function wholeLayers(layers: readonly LearningLayer[], count: number): SparseUpdate {
  const weights = layers
    .slice(0, count)
    .flatMap(({ name, weights, channels }) => (weights.length === 0 ? [] : [{ layer: name, channels, of: channels }]));
  return { biases: count, weights };
}

/** The largest number up to `most` for which it fits, where each that is larger needs more; `least` − 1 where not even that does. */
function largest(least: number, most: number, fits: (count: number) => boolean): number {
  let [low, high] = [least - 1, most];
  while (low < high) {
    const middle = low + Math.ceil((high - low) / 2);
    if (fits(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Some channels of a layer's weights, what they contribute, and about how many bytes that takes. */
interface Candidate {
  readonly layer: string;
  readonly channels: number;
  readonly of: number;
  readonly gain: number;
  readonly bytes: number;
}

type Energy = ReadonlyMap<string, Float32Array>;

function sumOf(energy: Energy, name: string, channels = Infinity): number {
  return (
    energy
      .get(name)
      ?.subarray(0, channels)
      .reduce((sum, each) => sum + each, 0) ?? 0
  );
}

function candidatesOf({ name, weights, channels, divisible }: LearningLayer, energy: Energy): Candidate[] {
  if (weights.length === 0) return [];
  const counts = divisible ? [...new Set(SHARES.map((share) => Math.ceil(share * channels)))] : [channels];
  const bytes = weights.reduce((sum, { dtype, shape }) => sum + elementCount(shape) * dtypeBytes(dtype), 0);
  return counts.map((count) => ({
    layer: name,
    channels: count,
    of: channels,
    gain: weights.reduce((sum, each) => sum + sumOf(energy, each.name, count), 0),
    // What learns moves from flash to RAM.
    bytes: (bytes * count) / channels,
  }));
}

/** Of several shares of a layer the largest. */
function joined(chosen: readonly Candidate[]): Candidate[] {
  return chosen.filter((each) => !chosen.some(({ layer, channels }) => layer === each.layer && channels > each.channels));
}

/** Weights by contribution per byte: as many in this order as fit, leaving out those that do not, or that gain nothing. */
function bestWeights(candidates: readonly Candidate[], fits: (chosen: readonly Candidate[]) => boolean): Candidate[] {
  let rest = candidates.filter(({ gain }) => gain > 0).toSorted((a, b) => b.gain / b.bytes - a.gain / a.bytes);
  let chosen: Candidate[] = [];
  while (rest.length > 0) {
    const from = chosen;
    const count = largest(1, rest.length, (n) => fits(joined([...from, ...rest.slice(0, n)])));
    chosen = joined([...chosen, ...rest.slice(0, count)]);
    const blocking = rest[count];
    // What is larger than what did not fit, of the same layer, does not fit either.
    rest = rest.slice(count + 1).filter(({ layer, channels }) => layer !== blocking?.layer || channels < blocking.channels);
  }
  return chosen;
}

/**
 * What learns under a limit of memory. The paper measures the accuracy that each layer gains offline; here a layer's contribution is what
 * a step of gradient descent on it takes off the loss to first order (`gradientEnergy`), and weights are taken by contribution per byte.
 * Backward passes of several depths are tried: each with all its biases, which need no activations, and the weights that then fit.
 * @param layers the last first. @param fits whether an update's training step is small enough.
 * @returns undefined where not even the last layer's biases can learn.
 */
export function chooseUpdate(layers: readonly LearningLayer[], energy: Energy, fits: (update: SparseUpdate) => boolean): SparseUpdate | undefined {
  const deepest = largest(1, layers.length, (biases) => fits({ biases, weights: [] }));
  if (deepest === 0) return undefined;
  const depths = [...new Set(DEPTHS.map((share) => Math.ceil(share * deepest)))];
  const choices = depths.map((depth) => {
    const within = layers.slice(0, depth);
    const all = within.flatMap((layer) => candidatesOf(layer, energy));
    const weightsOf = (chosen: readonly Candidate[]): SparseUpdate["weights"] => {
      const byLayer = new Map(chosen.map(({ layer, channels, of }) => [layer, { layer, channels, of }]));
      return within.flatMap(({ name }) => byLayer.get(name) ?? []);
    };
    const chosen = bestWeights(all, (some) => fits({ biases: depth, weights: weightsOf(some) }));
    const biases = within.flatMap((layer) => layer.biases).reduce((sum, { name }) => sum + sumOf(energy, name), 0);
    return { update: { biases: depth, weights: weightsOf(chosen) }, gain: biases + chosen.reduce((sum, { gain }) => sum + gain, 0) };
  });
  return choices.reduce((best, each) => (each.gain > best.gain ? each : best)).update;
}
