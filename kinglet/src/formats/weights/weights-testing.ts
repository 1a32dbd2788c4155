import { strToU8, zipSync } from "fflate";
import { bytesOf, elementCount, type Shape, Xorshift32 } from "../../base/index.ts";
import type { Graph, Value } from "../../graph/index.ts";

/** A tensor to write. */
export interface Named {
  readonly name: string;
  readonly shape: Shape;
  readonly data: Float32Array;
}

/** Bytes of a .safetensors file with tensors one behind the other. */
export function safetensors(tensors: readonly { name: string; dtype: string; shape: Shape; bytes: Uint8Array }[]): Uint8Array {
  let at = 0;
  const entries = tensors.map(({ name, dtype, shape, bytes }) => [name, { dtype, shape, data_offsets: [at, (at += bytes.length)] }]);
  const header = strToU8(JSON.stringify(Object.fromEntries([["__metadata__", { format: "pt" }], ...entries])));
  return withHeader(header, Buffer.concat(tensors.map(({ bytes }) => bytes)));
}

export function withHeader(header: Uint8Array, data: Uint8Array): Uint8Array {
  const length = new Uint8Array(8);
  new DataView(length.buffer).setUint32(0, header.length, true);
  return new Uint8Array(Buffer.concat([length, header, data]));
}

export function floatSafetensors(tensors: readonly Named[]): Uint8Array {
  return safetensors(tensors.map(({ name, shape, data }) => ({ name, dtype: "F32", shape, bytes: bytesOf(data) })));
}

/** Folders with tensors in an HDF5 file: "layers/conv2d/vars/0". */
interface Hdf5Contents {
  readonly tensors: readonly (Named & { readonly gzip?: boolean; readonly dtype?: string })[];
  /** Lists of texts by folder and name. */
  readonly texts?: readonly (readonly [folder: string, name: string, list: readonly string[]])[];
}

let files = 0;

export async function hdf5({ tensors, texts = [] }: Hdf5Contents): Promise<Uint8Array> {
  const library = await import("h5wasm");
  const { FS } = await library.ready;
  const path = `/written-${files++}.h5`;
  const file = new library.File(path, "w");
  const made = new Set<string>();
  const folder = (parts: readonly string[]): void => {
    parts.forEach((_, i) => {
      const at = parts.slice(0, i + 1).join("/");
      if (!made.has(at)) file.create_group(at);
      made.add(at);
    });
  };
  for (const { name, shape, data, gzip, dtype } of tensors) {
    folder(name.split("/").slice(0, -1));
    const packing = gzip === true ? { chunks: shape.map((dim) => Math.max(1, dim >> 1)), compression: "gzip" as const } : {};
    file.create_dataset({ name, data, shape: [...shape], ...(dtype === undefined ? {} : { dtype }), ...packing });
  }
  for (const [at, name, list] of texts) {
    folder(at === "" ? [] : at.split("/"));
    (at === "" ? file : (file.get(at) as typeof file)).create_attribute(name, [...list]);
  }
  file.close();
  const bytes = FS.readFile(path) as Uint8Array;
  FS.unlink(path);
  return bytes;
}

/** A layer as Keras has it: its class, its name, and its variables in Keras' order. */
export interface KerasLayer {
  readonly className: string;
  readonly name: string;
  readonly variables: readonly Named[];
}

/** As Keras 2 writes a model: model_weights/conv/conv/kernel:0, with lists in the model's order. */
export async function keras2(layers: readonly KerasLayer[]): Promise<Uint8Array> {
  const inLayer = (layer: string, variable: string): string => `${layer}/${variable}:0`;
  return await hdf5({
    tensors: layers.flatMap(({ name, variables }) =>
      variables.map((each) => ({ ...each, name: `model_weights/${name}/${inLayer(name, each.name)}`, gzip: each.shape.length === 4 })),
    ),
    texts: [
      ["model_weights", "layer_names", layers.map(({ name }) => name)],
      ...layers
        .filter(({ variables }) => variables.length > 0)
        .map(({ name, variables }) => [`model_weights/${name}`, "weight_names", variables.map((each) => inLayer(name, each.name))] as const),
    ],
  });
}

/** Folders of Keras 3: a class's name in small letters, numbered from the second one on. */
function folders(layers: readonly KerasLayer[]): string[] {
  const counts = new Map<string, number>();
  return layers.map(({ className }) => {
    const base = { Conv2D: "conv2d", DepthwiseConv2D: "depthwise_conv2d", BatchNormalization: "batch_normalization", Dense: "dense" }[className]!;
    const before = counts.get(base) ?? 0;
    counts.set(base, before + 1);
    return before === 0 ? base : `${base}_${before}`;
  });
}

/** As Keras 3 writes weights alone: layers/conv2d/vars/0. */
export async function keras3(layers: readonly KerasLayer[]): Promise<Uint8Array> {
  const places = folders(layers);
  return await hdf5({
    tensors: layers.flatMap(({ variables }, i) => variables.map((each, v) => ({ ...each, name: `layers/${places[i]}/vars/${v}` }))),
  });
}

/** A `.keras` file. */
export async function kerasModel(layers: readonly KerasLayer[]): Promise<Uint8Array> {
  const config = {
    class_name: "Functional",
    config: { layers: layers.map((each) => ({ class_name: each.className, config: { name: each.name } })) },
  };
  return zipSync({ "metadata.json": strToU8("{}"), "config.json": strToU8(JSON.stringify(config)), "model.weights.h5": await keras3(layers) });
}

/** Numbers of a tensor [a, b, c, d] in another order of its dimensions, which are the given ones of it. */
export function permuted(data: Float32Array, shape: Shape, order: readonly number[]): { readonly shape: number[]; readonly data: Float32Array } {
  const to = order.map((dim) => shape[dim]!);
  const out = new Float32Array(elementCount(shape));
  for (let i = 0; i < out.length; i++) {
    const index = new Array<number>(shape.length);
    to.reduceRight((rest, size, axis) => {
      index[order[axis]!] = rest % size;
      return Math.floor(rest / size);
    }, i);
    out[i] = data[index.reduce((at, each, axis) => at * shape[axis]! + each, 0)]!;
  }
  return { shape: to, data: out };
}

/** The network with seeded numbers in all its parameters and statistics; variances and scales above 0. */
export function randomized(graph: Graph, seed: number): Graph {
  const random = new Xorshift32(seed);
  const draw = (value: Value): Value => {
    if (!(value.data instanceof Float32Array) || (value.shape.length === 1 && value.shape[0] === 1)) return value;
    const positive = /_(variance|scale)$/.test(value.name);
    return { ...value, data: Float32Array.from(value.data, () => (positive ? 1 + 0.5 * random.float() : 0.3 * random.float())) };
  };
  const values = new Map(graph.values.map((value) => [value, draw(value)]));
  const now = (value: Value): Value => values.get(value)!;
  return {
    ...graph,
    values: graph.values.map(now),
    nodes: graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map((value) => value && now(value)), outputs: node.outputs.map(now) })),
    inputs: graph.inputs.map(now),
    outputs: graph.outputs.map(now),
  };
}
