import type { ModelProto, NodeProto, TensorProto, ValueInfoProto } from "../../kinglet/src/formats/onnx/proto.ts";
import { emptyValueInfo, encodeModel, parseModel } from "../../kinglet/src/formats/onnx/schema.ts";

/** A tensor between nodes, as an input or output of a part of a model. */
export interface Port {
  readonly name: string;
  /** Its number in TensorProto.DataType. */
  readonly type: number;
  readonly dims?: readonly number[];
}

function infoOf({ name, type, dims }: Port): ValueInfoProto {
  return { ...emptyValueInfo(), name, elementType: type, shape: dims === undefined ? null : [...dims] };
}

/** A part of a model as a file of its own, with what it reads of the rest. */
export interface Part {
  readonly file: Uint8Array;
  readonly inputs: readonly string[];
  /** What it computes, beside the conversions from and to integers. */
  readonly operators: readonly string[];
}

const CONVERSIONS = new Set(["QuantizeLinear", "DequantizeLinear"]);

/** An ONNX model whose nodes are put into other files: with more outputs, or only some of them. */
export class CutModel {
  readonly nodes: readonly NodeProto[];
  readonly initializers: ReadonlyMap<string, TensorProto>;
  private readonly model: ModelProto;
  private readonly producers = new Map<string, NodeProto>();

  constructor(file: Uint8Array, name: string) {
    this.model = parseModel(file, name);
    const { nodes, initializers } = this.model.graph!;
    this.nodes = nodes;
    this.initializers = new Map(initializers.map((tensor) => [tensor.name, tensor]));
    for (const node of nodes) for (const output of node.outputs) this.producers.set(output, node);
  }

  /** The inputs of the model, without weights. */
  get inputs(): readonly Port[] {
    const open = this.model.graph!.inputs.filter(({ name }) => !this.initializers.has(name));
    return open.map(({ name, elementType, shape }) => ({ name, type: elementType, dims: shape!.map(Number) }));
  }

  private file(nodes: readonly NodeProto[], inputs: readonly ValueInfoProto[], outputs: readonly ValueInfoProto[]): Uint8Array {
    const read = new Set(nodes.flatMap((node) => node.inputs));
    const initializers = this.model.graph!.initializers.filter(({ name }) => read.has(name));
    return encodeModel({
      ...this.model,
      graph: { ...this.model.graph!, nodes: [...nodes], initializers, inputs: [...inputs], outputs: [...outputs], values: [] },
    });
  }

  /** The whole model, which gives these tensors, too. */
  withOutputs(more: readonly Port[]): Uint8Array {
    const { inputs, outputs } = this.model.graph!;
    const given = new Set(outputs.map(({ name }) => name));
    return this.file(this.nodes, inputs, [...outputs, ...more.filter(({ name }) => !given.has(name)).map(infoOf)]);
  }

  /** The nodes that make `output` of what is known, and which of that they read. */
  private ancestors(output: string, known: ReadonlyMap<string, Port>): { nodes: Set<NodeProto>; inputs: Set<string> } {
    const [nodes, inputs] = [new Set<NodeProto>(), new Set<string>()];
    const open = [output];
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      if (name === "" || this.initializers.has(name)) continue;
      if (name !== output && known.has(name)) {
        inputs.add(name);
        continue;
      }
      const node = this.producers.get(name)!;
      if (!nodes.has(node)) open.push(...node.inputs);
      nodes.add(node);
    }
    return { nodes, inputs };
  }

  /** The part between known tensors, the model's inputs among them, and one that they make. */
  part(output: Port, known: ReadonlyMap<string, Port>): Part {
    const found = this.ancestors(output.name, known);
    const nodes = this.nodes.filter((node) => found.nodes.has(node));
    const inputs = [...found.inputs];
    return {
      file: this.file(
        nodes,
        inputs.map((name) => infoOf(known.get(name)!)),
        [infoOf(output)],
      ),
      inputs,
      operators: nodes.map(({ op }) => op).filter((op) => !CONVERSIONS.has(op)),
    };
  }
}
