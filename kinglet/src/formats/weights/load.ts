import { KingletError, sameShape, shapeText } from "../../base/index.ts";
import { type Graph, type Value, withConstants } from "../../graph/index.ts";
import { type Conventions, withConventions } from "./conventions.ts";
import { inOurLayout, shapeInOurs } from "./layout.ts";
import { type Match, matchByNames, matchByOrder, type WeightNames } from "./match.ts";
import { type Slot, slotLayers } from "./slots.ts";
import type { WeightLayout, Weights, WeightTensor } from "./tensors.ts";

export interface LoadWeightsOptions extends Partial<Conventions> {
  /** Absent: by kind, shape and order, refused where that is ambiguous. */
  readonly names?: WeightNames;
  /** How the file's weights lie; by default as its format usually has them. */
  readonly layout?: WeightLayout;
  /** Layers of the network that keep what they have, as "logits" (of logits_weights) for other classes; what the file has for them is left out. */
  readonly without?: readonly string[];
  /** Tensors of the file that are no weights; batch counters never are. */
  readonly ignore?: RegExp;
}

/** What layers compute in the framework that a layout comes from. */
const CONVENTIONS: Readonly<Record<WeightLayout, Conventions>> = {
  pytorch: { epsilon: 1e-5, padding: "symmetric" },
  keras: { epsilon: 1e-3, padding: "same" },
};

/** PyTorch counts the batches that a normalization has seen. */
const COUNTER = /(^|\.)num_batches_tracked$/;

function complaintsOf({ found, complaints }: Match, layout: WeightLayout): string[] {
  const shapes = [...found].flatMap(([slot, { name, dtype, shape, data }]) => {
    if (data === null) return [`of type ${dtype}, which is no floating-point one: "${name}"`];
    const ours = shapeInOurs(slot, shape, layout);
    if (sameShape(ours, slot.shape)) return [];
    return [`shape: "${name}" ${shapeText(shape)} is ${shapeText(ours)} here, and "${slot.name}" ${shapeText(slot.shape)}`];
  });
  return [...complaints, ...shapes];
}

/** Contents of constants; a bias before a normalization is taken from the mean that is subtracted behind it. */
function contentsOf(found: ReadonlyMap<Slot, WeightTensor>, layout: WeightLayout): Map<Value, Float32Array> {
  const contents = new Map<Value, Float32Array>();
  const slots = [...found].sort(([a], [b]) => Number(a.absorbed) - Number(b.absorbed));
  for (const [slot, { shape, data }] of slots) {
    const ours = inOurLayout(slot, shape, data!, layout);
    const before = contents.get(slot.value) ?? (slot.value.data as Float32Array);
    contents.set(slot.value, slot.absorbed ? ours.map((bias, c) => before[c]! - bias) : ours);
  }
  return contents;
}

/**
 * A network with the weights of a file, computing what they were trained for: layouts, epsilons and paddings are the framework's. A
 * bias before a normalization moves its mean, so that the network stays as it was written.
 * @throws KingletError `bad-input` that lists every missing, surplus, ambiguous and wrongly shaped tensor
 */
export function loadWeights(network: Graph, weights: Weights, options: LoadWeightsOptions = {}): Graph {
  const layout = options.layout ?? weights.layout;
  const layers = slotLayers(network);
  const { names, ignore, without = [] } = options;
  const tensors = weights.tensors.filter(({ name }) => !COUNTER.test(name) && ignore?.test(name) !== true);
  const given: Weights = { ...weights, layout, tensors };
  const kept = ({ name }: Slot): boolean => without.includes(name.slice(0, name.lastIndexOf("_")));
  const match = names === undefined ? matchByOrder(layers, given, kept) : matchByNames(layers, given, names, kept);
  const complaints = complaintsOf(match, layout);
  if (complaints.length > 0)
    throw new KingletError("bad-input", `the weights do not fit "${network.name}"\n${complaints.map((each) => `  ${each}`).join("\n")}`, {
      hint: "Names are what kinglet inspect lists. Layers that need no weights are named with without; other names are given with names.",
    });
  const { epsilon = CONVENTIONS[layout].epsilon, padding = CONVENTIONS[layout].padding } = options;
  return withConventions(withConstants(network, contentsOf(match.found, layout)), { epsilon, padding });
}
