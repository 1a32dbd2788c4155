import type { Shape } from "../../base/index.ts";
import { type Hdf5Group, readHdf5 } from "./hdf5.ts";
import { type LayerNames, layerNames } from "./keras-names.ts";
import { naturalOrder } from "./natural.ts";
import { refuseWeights, type Weights, type WeightTensor } from "./tensors.ts";

/** The files inside a `.keras` file, which is a zip. */
export const KERAS_WEIGHTS = "model.weights.h5";
export const KERAS_CONFIG = "config.json";

/** What an optimizer keeps is not the network's. */
const isWeight = (path: string): boolean => !/^optimizer(_weights)?(\/|$)/.test(path);

/** A list that Keras cuts into numbered attributes where it is too long for one. */
function listIn(group: Hdf5Group, name: string): readonly string[] | null {
  const whole = group.texts.get(name);
  if (whole !== undefined) return whole;
  const parts: string[] = [];
  for (let i = 0; group.texts.has(`${name}${i}`); i++) parts.push(...group.texts.get(`${name}${i}`)!);
  return group.texts.has(`${name}0`) ? parts : null;
}

function find(group: Hdf5Group, path: string, place: string): WeightTensor {
  const parts = path.split("/").filter((part) => part !== "");
  let at: Hdf5Group | undefined = group;
  for (const part of parts.slice(0, -1)) at = at?.groups.get(part);
  return at?.tensors.get(parts.at(-1) ?? "") ?? refuseWeights(place, `the weight "${path.slice(0, 80)}" that the file lists is missing`);
}

/** "conv2d/kernel" of layer conv2d, whether its weight is called kernel:0, conv2d/kernel:0 or model/conv2d/kernel. */
function nameOf(layer: string, weight: string): string {
  const plain = weight.replace(/:\d+$/, "");
  if (plain.startsWith(`${layer}/`)) return plain;
  const at = plain.indexOf(`/${layer}/`);
  if (at >= 0) return plain.slice(at + 1);
  return plain.includes("/") ? plain : `${layer}/${plain}`;
}

/** Keras 2, and Keras 3 where it writes the same: a folder for each layer, and lists that name them in the model's order. */
function listedWeights(root: Hdf5Group, layers: readonly string[], place: string): WeightTensor[] {
  return layers.flatMap((layer) => {
    let group: Hdf5Group | undefined = root;
    for (const part of layer.split("/")) group = group?.groups.get(part);
    if (group === undefined) return refuseWeights(place, `the layer "${layer.slice(0, 80)}" that the file lists is missing`);
    const folder = group;
    return (listIn(folder, "weight_names") ?? []).map((weight) => ({ ...find(folder, weight, place), name: nameOf(layer, weight) }));
  });
}

/** What Keras 3 only numbers: a normalization's four vectors, or weights and their bias. Others keep their numbers. */
function variableNames(shapes: readonly Shape[]): readonly string[] {
  const [first, second] = shapes;
  if (shapes.length === 4 && shapes.every((shape) => shape.length === 1 && shape[0] === first![0]))
    return ["gamma", "beta", "moving_mean", "moving_variance"];
  if (first === undefined || first.length < 2 || shapes.length > 2 || (second !== undefined && second.length !== 1)) return [];
  return ["kernel", "bias"];
}

/** Keras 3: folders named by classes, and in each a folder of numbered variables. Where the model is known, its layers' own names. */
function numberedWeights(group: Hdf5Group, path: string, names: LayerNames): WeightTensor[] {
  const variables = group.groups.get("vars");
  const plain = (text: string): string => text.replace(/(^|\/)(layers|_layer_checkpoint_dependencies)\//g, "$1");
  const layer = names.get(path) ?? variables?.texts.get("name")?.[0] ?? plain(path);
  const own = [...(variables?.tensors ?? [])].sort(([a], [b]) => naturalOrder(a, b));
  const called = variableNames(own.map(([, { shape }]) => shape));
  const below = [...group.groups].filter(([name]) => name !== "vars").sort(([a], [b]) => naturalOrder(a, b));
  return [
    ...own.map(([number, tensor], i) => ({ ...tensor, name: `${layer}/${called[i] ?? number}` })),
    ...below.flatMap(([name, each]) => numberedWeights(each, path === "" ? name : `${path}/${name}`, names)),
  ];
}

function inModelOrder(tensors: readonly WeightTensor[], names: LayerNames): readonly WeightTensor[] {
  const places = new Map([...names.values()].map((name, i) => [name, i]));
  const placeOf = ({ name }: WeightTensor): number => places.get(name.slice(0, name.lastIndexOf("/"))) ?? places.size;
  return [...tensors].sort((a, b) => placeOf(a) - placeOf(b));
}

/**
 * Weights in a Keras HDF5 file: a whole model (.h5), or the weights alone (.weights.h5), of Keras 2 or 3. A tensor is called by its
 * layer and variable, as in "conv2d/kernel". `names` are those of a model that the file belongs to.
 * @throws KingletError `bad-file`
 */
export async function readKerasHdf5(bytes: Uint8Array, place: string, names: LayerNames = new Map()): Promise<Weights> {
  const file = await readHdf5(bytes, place, isWeight);
  const root = file.groups.get("model_weights") ?? file;
  const layers = listIn(root, "layer_names");
  const tensors = layers === null ? inModelOrder(numberedWeights(root, "", names), names) : listedWeights(root, layers, place);
  if (tensors.length === 0) refuseWeights(place, "the HDF5 file holds no weights as Keras stores them");
  return { format: "Keras HDF5", layout: "keras", inOrder: true, tensors };
}

/**
 * Weights of a `.keras` file, called as the model calls its layers and in its order.
 * @throws KingletError `bad-file`
 */
export async function readKeras(files: { readonly weights: Uint8Array; readonly config: Uint8Array }, place: string): Promise<Weights> {
  const names = layerNames(files.config, `${place}/${KERAS_CONFIG}`);
  return { ...(await readKerasHdf5(files.weights, `${place}/${KERAS_WEIGHTS}`, names)), format: "Keras" };
}
