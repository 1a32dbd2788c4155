import { parseModel } from "../../kinglet/src/formats/onnx/schema.ts";
import type { NodeProto, TensorProto } from "../../kinglet/src/formats/onnx/proto.ts";
import { byteStrings, type Fields, int as intField, bytes as bytesField, readMessage } from "../../kinglet/src/formats/wire.ts";
import { bytes, type Encoded, int, message, string } from "../js/protobuf.ts";

/** A tensor between nodes, as an input or output of a part of a model. */
export interface Port {
  readonly name: string;
  /** Its number in TensorProto.DataType. */
  readonly type: number;
  readonly dims?: readonly number[];
}

interface RawModel {
  irVersion: number;
  graph: Uint8Array | null;
  readonly opsets: Uint8Array[];
}

interface RawGraph {
  readonly nodes: Uint8Array[];
  readonly initializers: Uint8Array[];
  readonly inputs: Uint8Array[];
  readonly outputs: Uint8Array[];
}

const RAW_MODEL: Fields<RawModel> = { 1: intField("irVersion"), 7: bytesField("graph"), 8: byteStrings("opsets") };
const RAW_GRAPH: Fields<RawGraph> = {
  1: byteStrings("nodes"),
  5: byteStrings("initializers"),
  11: byteStrings("inputs"),
  12: byteStrings("outputs"),
};

function valueInfo(field: number, { name, type, dims }: Port): Encoded {
  const shape = dims === undefined ? [] : [message(2, ...dims.map((dim) => message(1, int(1, dim))))];
  return message(field, string(1, name), message(2, message(1, int(1, type), ...shape)));
}

/** An ONNX file whose nodes are copied byte by byte into other files: with more outputs, or only some of them. */
export class CutModel {
  readonly nodes: readonly NodeProto[];
  readonly initializers: ReadonlyMap<string, TensorProto>;
  private readonly raw: RawModel;
  private readonly graph: RawGraph;
  private readonly producers = new Map<string, number>();

  constructor(file: Uint8Array, name: string) {
    const graph = parseModel(file, name).graph!;
    this.nodes = graph.nodes;
    this.initializers = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
    this.raw = readMessage(file, name, { irVersion: 0, graph: null, opsets: [] }, RAW_MODEL);
    this.graph = readMessage(this.raw.graph!, name, { nodes: [], initializers: [], inputs: [], outputs: [] }, RAW_GRAPH);
    this.nodes.forEach((node, i) => {
      for (const output of node.outputs) this.producers.set(output, i);
    });
  }

  private file(nodes: readonly Uint8Array[], inputs: readonly Encoded[], outputs: readonly Encoded[]): Uint8Array {
    const all = (field: number, parts: readonly Uint8Array[]): Encoded[] => parts.map((part) => bytes(field, part));
    const body = message(7, ...all(1, nodes), string(2, "part"), ...all(5, this.graph.initializers), ...inputs, ...outputs);
    return Buffer.concat([int(1, this.raw.irVersion), ...all(8, this.raw.opsets), body]);
  }

  /** The whole model, which gives these tensors, too. */
  withOutputs(more: readonly Port[]): Uint8Array {
    const all = (field: number, parts: readonly Uint8Array[]): Encoded[] => parts.map((part) => bytes(field, part));
    const outputs = [...all(12, this.graph.outputs), ...more.map((port) => valueInfo(12, port))];
    return this.file(this.graph.nodes, all(11, this.graph.inputs), outputs);
  }

  /** The nodes that make `output` of what is known (`isInput`), and which of that they read; null where they reach an input of the model. */
  private ancestors(output: string, isInput: (name: string) => boolean): { nodes: Set<number>; inputs: Set<string> } | null {
    const [nodes, inputs] = [new Set<number>(), new Set<string>()];
    const open = [output];
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      if (name === "" || this.initializers.has(name)) continue;
      if (name !== output && isInput(name)) {
        inputs.add(name);
        continue;
      }
      const node = this.producers.get(name);
      if (node === undefined) return null;
      if (!nodes.has(node)) open.push(...this.nodes[node]!.inputs);
      nodes.add(node);
    }
    return { nodes, inputs };
  }

  /** The part between known tensors and one of them; null where it begins at an input of the model. */
  part(output: Port, known: ReadonlyMap<string, Port>): { file: Uint8Array; inputs: readonly string[]; operators: readonly string[] } | null {
    const found = this.ancestors(output.name, (name) => known.has(name));
    if (found === null) return null;
    const order = [...found.nodes].sort((a, b) => a - b);
    const inputs = [...found.inputs];
    const ports = inputs.map((name) => valueInfo(11, known.get(name)!));
    return {
      file: this.file(
        order.map((i) => this.graph.nodes[i]!),
        ports,
        [valueInfo(12, output)],
      ),
      inputs,
      operators: order.map((i) => this.nodes[i]!.op).filter((op) => !op.endsWith("quantizeLinear") && op !== "QuantizeLinear"),
    };
  }
}
