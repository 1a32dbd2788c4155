import { shapeText } from "../../base/index.ts";
import { canonicalShape, storedShape } from "./layout.ts";
import { naturalOrder, partInNumber } from "./natural.ts";
import type { Role, Slot, SlotLayer } from "./slots.ts";
import type { Weights, WeightTensor } from "./tensors.ts";

/**
 * Which tensor of a file fills a parameter: its name, or several of which the first that the file has counts. Undefined where it has
 * none. Asked also for the bias that a layer before a normalization lacks: frameworks often have one.
 */
export type WeightNames = Readonly<Record<string, string | readonly string[]>> | ((parameter: string) => string | readonly string[] | undefined);

/** What was found, and a line for each thing that is wrong. */
export interface Match {
  readonly found: ReadonlyMap<Slot, WeightTensor>;
  readonly complaints: readonly string[];
}

const missing = (slot: Slot): string => `missing: "${slot.name}" ${shapeText(slot.shape)}`;
const surplus = ({ name, shape }: WeightTensor): string => `surplus: "${name}" ${shapeText(shape)}`;

/** By names. `kept` layers of ours take nothing, and what they would take is not surplus. */
export function matchByNames(layers: readonly SlotLayer[], { tensors }: Weights, names: WeightNames, kept: (slot: Slot) => boolean): Match {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const namesOf = typeof names === "function" ? names : (name: string) => (Object.hasOwn(names, name) ? names[name] : undefined);
  const found = new Map<Slot, WeightTensor>();
  const [complaints, left] = [[] as string[], new Set(tensors)];
  for (const slot of layers.flatMap(({ slots }) => slots)) {
    const candidates = [namesOf(slot.name) ?? []].flat();
    const tensor = candidates.map((name) => byName.get(name)).find((each) => each !== undefined);
    if (tensor !== undefined) left.delete(tensor);
    if (kept(slot)) continue;
    if (tensor !== undefined) found.set(slot, tensor);
    else if (!slot.absorbed)
      complaints.push(candidates.length === 0 ? missing(slot) : `${missing(slot)}, looked for as "${candidates.join('" or "')}"`);
  }
  return { found, complaints: [...complaints, ...[...left].map(surplus)] };
}

/** What the last part of a tensor's name says it is; `weight` and `bias` mean two things. */
const VARIABLE = /^(?:(.*)[./_])?(weight|kernel|depthwise_kernel|bias|gamma|beta|running_mean|running_var|moving_mean|moving_variance)(?:_0)?$/;
const ROLES: Readonly<Record<string, Role>> = {
  weight: "weights",
  kernel: "weights",
  depthwise_kernel: "weights",
  bias: "bias",
  gamma: "scale",
  beta: "offset",
  running_mean: "mean",
  moving_mean: "mean",
  running_var: "variance",
  moving_variance: "variance",
};

/** A layer of the file. */
interface StoredLayer {
  readonly name: string;
  readonly tensors: Map<Role, WeightTensor>;
}

/** Layers of a file by the beginnings of names, in the file's order or by the numbers in their names. */
function storedLayers({ tensors, inOrder }: Weights): { readonly layers: StoredLayer[]; readonly unknown: WeightTensor[] } {
  const layers = new Map<string, StoredLayer>();
  const unknown: WeightTensor[] = [];
  for (const tensor of tensors) {
    const [, name = "", variable] = VARIABLE.exec(tensor.name) ?? [];
    if (variable === undefined) {
      unknown.push(tensor);
      continue;
    }
    const layer = layers.get(name) ?? { name, tensors: new Map<Role, WeightTensor>() };
    layers.set(name, layer);
    layer.tensors.set(ROLES[variable]!, tensor);
  }
  const list = [...layers.values()];
  for (const { tensors: own } of list) if (own.has("mean")) asNormalization(own);
  return { layers: inOrder ? list : list.sort((a, b) => naturalOrder(a.name, b.name)), unknown };
}

/** PyTorch calls a normalization's scale its weight, and its offset its bias. */
function asNormalization(tensors: Map<Role, WeightTensor>): void {
  for (const [from, to] of [
    ["weights", "scale"],
    ["bias", "offset"],
  ] as const) {
    const tensor = tensors.get(from);
    if (tensor !== undefined && tensors.delete(from)) tensors.set(to, tensor);
  }
}

/** What layers must have in common to be each other's: their kind, and the shape of their weights or the number of channels. */
function keyOfStored({ tensors }: StoredLayer, { layout }: Weights): string {
  const [weights, mean] = [tensors.get("weights"), tensors.get("mean")];
  if (mean !== undefined) return `norm ${shapeText(mean.shape)}`;
  return weights === undefined ? "other" : `sums ${shapeText(canonicalShape(weights.shape, layout))}`;
}

function keyOfOurs({ kind, slots }: SlotLayer, { layout }: Weights): string {
  const first = slots.find(({ role }) => role === (kind === "norm" ? "mean" : "weights"));
  return first === undefined ? "other" : `${kind} ${shapeText(storedShape(first, layout))}`;
}

function grouped<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key)!.push(item);
  }
  return groups;
}

/** Two neighbours of which nobody can say which comes first, or undefined. */
function ambiguous(layers: readonly StoredLayer[]): readonly [StoredLayer, StoredLayer] | undefined {
  const at = layers.findIndex((layer, i) => i > 0 && !partInNumber(layers[i - 1]!.name, layer.name));
  return at < 0 ? undefined : [layers[at - 1]!, layers[at]!];
}

/** Drops what a file has in place of kept layers, where that has another shape: as many layers of a kind, the last ones first. */
function dropKept(left: StoredLayer[], kept: readonly SlotLayer[]): void {
  for (const { kind } of kept) {
    const at = left.findLastIndex(({ tensors }) => (kind === "norm" ? tensors.has("mean") : tensors.has("weights")));
    if (at >= 0) left.splice(at, 1);
  }
}

/** Takes the tensors of a stored layer for the slots of ours, and complains of each that it lacks. */
function fill({ slots }: SlotLayer, stored: StoredLayer | undefined, found: Map<Slot, WeightTensor>): string[] {
  return slots.flatMap((slot) => {
    const tensor = stored?.tensors.get(slot.role);
    if (tensor === undefined) return slot.absorbed ? [] : [missing(slot)];
    stored!.tensors.delete(slot.role);
    found.set(slot, tensor);
    return [];
  });
}

/**
 * By kind and shape, and among layers alike in both by their order: in the file, or by the numbers in their names where the file has none.
 * What is ambiguous is refused.
 */
export function matchByOrder(ours: readonly SlotLayer[], weights: Weights, kept: (slot: Slot) => boolean): Match {
  const { layers, unknown } = storedLayers(weights);
  const found = new Map<Slot, WeightTensor>();
  const [complaints, left] = [[] as string[], [] as StoredLayer[]];
  const isKept = ({ slots }: SlotLayer): boolean => slots.some(kept);
  const wanted = grouped(ours, (layer) => keyOfOurs(layer, weights));
  const stored = grouped(layers, (layer) => keyOfStored(layer, weights));
  for (const [key, group] of stored) if (!wanted.has(key)) left.push(...group);
  const elsewhere: SlotLayer[] = [];
  for (const [key, group] of wanted) {
    const theirs = stored.get(key) ?? [];
    // A kept layer has its place in the order, unless the file has it in another shape.
    const own = theirs.length < group.length ? group.filter((layer) => !isKept(layer)) : group;
    if (own !== group) elsewhere.push(...group.filter(isKept));
    const pair = weights.inOrder || theirs.length > own.length ? undefined : ambiguous(theirs);
    if (pair !== undefined)
      complaints.push(`ambiguous: "${pair[0].name}" and "${pair[1].name}" have one shape, and nothing tells which comes first: give names`);
    own.forEach((layer, i) => {
      if (isKept(layer)) theirs[i]?.tensors.clear();
      else complaints.push(...fill(layer, theirs[i], found));
    });
    left.push(...theirs.filter(({ tensors }) => tensors.size > 0));
  }
  dropKept(left, elsewhere);
  return { found, complaints: [...complaints, ...left.flatMap(({ tensors }) => [...tensors.values()]).map(surplus), ...unknown.map(surplus)] };
}
