import { bytesOf } from "../../kinglet/src/base/index.ts";
import type { Fields } from "../../kinglet/src/formats/tflite/flatwriter.ts";
import { type TestOperator, testModel } from "../../kinglet/src/formats/tflite/test-model.ts";
import type { Graph, Node } from "../../kinglet/src/graph/index.ts";

const ACTIVATIONS = ["none", "relu", "reluN1To1", "relu6"];
const [SAME, VALID] = [0, 1];

interface Form {
  readonly op: string;
  /** Number of the options' table in the schema. */
  readonly optionsType: number;
  readonly options: (node: Node) => Fields;
}

const number = (node: Node, name: string): number => Number(node.attributes[name]);
const activation = (node: Node): { readonly byte: number } => ({ byte: ACTIVATIONS.indexOf(String(node.attributes["activation"])) });
const window = (node: Node, padding: number): Fields => ({
  0: { byte: padding },
  1: { int: number(node, "strideW") },
  2: { int: number(node, "strideH") },
});

const FORMS: Readonly<Record<string, Form>> = {
  conv2d: { op: "CONV_2D", optionsType: 1, options: (node) => ({ ...window(node, SAME), 3: activation(node), 4: { int: 1 }, 5: { int: 1 } }) },
  depthwiseConv2d: {
    op: "DEPTHWISE_CONV_2D",
    optionsType: 2,
    options: (node) => ({
      ...window(node, SAME),
      3: { int: number(node, "depthMultiplier") },
      4: activation(node),
      5: { int: 1 },
      6: { int: 1 },
    }),
  },
  averagePool2d: {
    op: "AVERAGE_POOL_2D",
    optionsType: 5,
    options: (node) => ({
      ...window(node, VALID),
      3: { int: number(node, "filterW") },
      4: { int: number(node, "filterH") },
      5: activation(node),
    }),
  },
  fullyConnected: { op: "FULLY_CONNECTED", optionsType: 8, options: (node) => ({ 0: activation(node) }) },
  softmax: { op: "SOFTMAX", optionsType: 9, options: (node) => ({ 0: { float: number(node, "beta") } }) },
  reshape: { op: "RESHAPE", optionsType: 17, options: (node) => ({ 0: { ints: node.outputs[0]!.shape } }) },
  add: { op: "ADD", optionsType: 11, options: (node) => ({ 0: activation(node) }) },
};

function operatorOf(node: Node): TestOperator {
  const form = FORMS[node.op];
  if (form === undefined) throw new Error(`no TensorFlow Lite form of ${node.op}`);
  const ids = (values: Node["inputs"]): number[] => values.map((value) => value?.id ?? -1);
  return { op: form.op, optionsType: form.optionsType, options: form.options(node), inputs: ids(node.inputs), outputs: ids(node.outputs) };
}

/** A network of the zoo as a .tflite file, so that TensorFlow Lite can do the same work with the same weights. */
export function tfliteFile(graph: Graph): Uint8Array {
  const tensors = graph.values.map(({ dtype, shape, data, quantization }) => ({
    type: dtype,
    shape,
    ...(data === undefined ? {} : { data: bytesOf(data) }),
    ...(quantization === undefined ? {} : quantization),
  }));
  const [inputs, outputs] = [graph.inputs, graph.outputs].map((values) => values.map(({ id }) => id));
  return testModel([{ tensors, inputs: inputs!, outputs: outputs!, operators: graph.nodes.map(operatorOf) }]);
}
