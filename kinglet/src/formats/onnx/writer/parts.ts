import { allocate, bytesOf, type DType, keepsOrder, KingletError, type TypedArray } from "../../../base/index.ts";
import { elementCode } from "../elements.ts";
import type { AttributeProto, GraphProto, TensorProto, ValueInfoProto } from "../proto.ts";
import { emptyGraph, emptyNode, emptyTensor, emptyValueInfo } from "../schema.ts";

/** A tensor of the file. Its name is settled when the file is put together: until then it is what it would like to be called. */
export interface Tensor {
  wish: string;
  /** ONNX's number of its element type. */
  readonly element: number;
  readonly shape: readonly number[];
  readonly isConstant?: true;
}

interface FileNode {
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly (Tensor | null)[];
  readonly outputs: readonly Tensor[];
  readonly attributes: readonly AttributeProto[];
}

interface Stored {
  readonly tensor: Tensor;
  readonly raw: Uint8Array;
}

/** Names that nothing else in the file has. */
class Names {
  private readonly taken = new Set<string>();

  free(wish: string): string {
    let name = wish;
    for (let n = 1; this.taken.has(name) || name === ""; n++) name = `${wish || "tensor"}_${n}`;
    this.taken.add(name);
    return name;
  }
}

/** A file of the format holds less than this; more would need files beside it, and these networks are for small machines. */
const MOST_BYTES = 2 ** 31 - 1;

/** The nodes and tensors of a file, as they come. */
export class Parts {
  private readonly nodes: FileNode[] = [];
  private readonly stored: Stored[] = [];
  private readonly shared = new Map<string, Tensor>();
  private bytes = 0;

  /** How many transposes move elements, and not only dimensions of one. */
  movingTransposes(): number {
    const moves = ({ op, inputs, attributes }: FileNode): boolean =>
      op === "Transpose" && !keepsOrder(inputs[0]!.shape, attributes[0]!.ints.map(Number));
    return this.nodes.filter(moves).length;
  }

  /** Adds a node that gives tensors of these element types and shapes. */
  node(
    op: string,
    name: string,
    inputs: readonly (Tensor | null)[],
    outputs: readonly Pick<Tensor, "element" | "shape">[],
    attributes: readonly AttributeProto[] = [],
  ): Tensor[] {
    const made = outputs.map(({ element, shape }): Tensor => ({ wish: "", element, shape }));
    this.nodes.push({ op, name, inputs, outputs: made, attributes });
    return made;
  }

  /** @throws KingletError `unsupported` for more than one file can hold */
  initializer(wish: string, element: number, shape: readonly number[], raw: Uint8Array): Tensor {
    const tensor: Tensor = { wish, element, shape, isConstant: true };
    this.bytes += raw.length;
    if (this.bytes > MOST_BYTES)
      throw new KingletError("unsupported", "an .onnx file holds less than 2 GiB, and the constants of this network alone take more", {
        hint: "A .kinglet file has no such limit.",
      });
    this.stored.push({ tensor, raw });
    return tensor;
  }

  /** A short constant that a node of the file needs and the network does not have; equal ones are one. */
  constant(wish: string, dtype: DType, shape: readonly number[], data: TypedArray): Tensor {
    const key = `${dtype} ${shape.join()}: ${data.join()}`;
    const known = this.shared.get(key);
    if (known !== undefined) return known;
    const made = this.initializer(wish, elementCode(dtype), shape, bytesOf(data));
    this.shared.set(key, made);
    return made;
  }

  /** Numbers as a scalar or, where they are a list, a vector. */
  numbers(dtype: DType, values: number | readonly number[], wish = ""): Tensor {
    const list = typeof values === "number" ? [values] : values;
    const data = allocate(dtype, list.length);
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) data.set(list.map(BigInt));
    else data.set(list);
    return this.constant(wish || "constant", dtype, typeof values === "number" ? [] : [list.length], data);
  }

  /** Nodes that something needs, and what they read. */
  private needed(outputs: readonly Tensor[]): { nodes: FileNode[]; read: Set<Tensor> } {
    const read = new Set(outputs);
    const nodes = this.nodes.toReversed().filter((node) => {
      const isNeeded = node.outputs.some((output) => read.has(output));
      if (isNeeded) for (const input of node.inputs) if (input !== null) read.add(input);
      return isNeeded;
    });
    return { nodes: nodes.reverse(), read };
  }

  /** The graph of the file, without what nothing needs. `inputs` and `outputs` are called what they wish; the others make way. */
  graph(name: string, inputs: readonly Tensor[], outputs: readonly Tensor[]): GraphProto {
    const [names, called] = [new Names(), new Map<Tensor, string>()];
    for (const tensor of [...inputs, ...outputs]) called.set(tensor, names.free(tensor.wish));
    const nameOf = (tensor: Tensor, node?: FileNode): string => {
      if (!called.has(tensor)) called.set(tensor, names.free(tensor.wish || (node === undefined ? "" : `${node.name}_output`)));
      return called.get(tensor)!;
    };
    const { nodes, read } = this.needed(outputs);
    const stored = this.stored.filter(({ tensor }) => read.has(tensor));
    for (const { tensor } of stored) nameOf(tensor);
    for (const node of nodes) for (const output of node.outputs) nameOf(output, node);
    const info = (tensor: Tensor): ValueInfoProto => ({
      ...emptyValueInfo(),
      name: nameOf(tensor),
      elementType: tensor.element,
      shape: [...tensor.shape],
    });
    const nodeNames = new Names();
    const ends = new Set([...inputs, ...outputs]);
    return {
      ...emptyGraph(),
      name: name || "graph",
      nodes: nodes.map((node) => ({
        ...emptyNode(),
        op: node.op,
        name: nodeNames.free(node.name),
        inputs: node.inputs.map((tensor) => (tensor === null ? "" : nameOf(tensor))),
        outputs: node.outputs.map((tensor) => nameOf(tensor)),
        attributes: [...node.attributes],
      })),
      initializers: stored.map(({ tensor, raw }): TensorProto => {
        return { ...emptyTensor(), name: nameOf(tensor), dims: [...tensor.shape], dataType: tensor.element, raw };
      }),
      inputs: inputs.map(info),
      outputs: outputs.map(info),
      values: nodes.flatMap(({ outputs: made }) => made.filter((tensor) => !ends.has(tensor)).map(info)),
    };
  }
}

/** Elements of one type packed two to a byte, the lower half first. */
export function packNibbles(data: TypedArray): Uint8Array {
  const out = new Uint8Array(Math.ceil(data.length / 2));
  for (let i = 0; i < data.length; i++) out[i >> 1]! |= (Number(data[i]) & 15) << (i % 2 === 0 ? 0 : 4);
  return out;
}
