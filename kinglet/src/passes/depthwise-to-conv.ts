import { allocate, type TypedArray } from "../base/index.ts";
import type { Graph, Node, Value } from "../graph/index.ts";

function isSingleChannel(node: Node): boolean {
  const [x, w] = node.inputs;
  return node.op === "depthwiseConv2d" && x?.shape[3] === 1 && w?.data !== undefined;
}

/** [1, h, w, c] → [c, h, w, 1] */
function transposed(w: Value): TypedArray {
  const [, height, width, channels] = w.shape as [number, number, number, number];
  const taps = height * width;
  const data = allocate(w.dtype, taps * channels);
  for (let tap = 0; tap < taps; tap++) {
    for (let c = 0; c < channels; c++) data[c * taps + tap] = w.data![tap * channels + c]! as never;
  }
  return data;
}

function asConv(node: Node, id: number): { node: Node; weights: Value } {
  const w = node.inputs[1]!;
  const quantization = w.quantization === undefined ? undefined : { ...w.quantization, axis: 0 };
  const weights: Value = { ...w, id, shape: [w.shape[3]!, w.shape[1]!, w.shape[2]!, 1], data: transposed(w), quantization };
  const { depthMultiplier: _, ...attributes } = node.attributes;
  return { weights, node: { ...node, op: "conv2d", attributes, inputs: [node.inputs[0]!, weights, ...node.inputs.slice(2)] } };
}

/** A depthwise convolution of one channel is a convolution, which has the faster kernels. */
export function depthwiseToConv(graph: Graph): Graph {
  if (!graph.nodes.some(isSingleChannel)) return graph;
  const values = [...graph.values];
  const nodes = graph.nodes.map((node) => {
    if (!isSingleChannel(node)) return node;
    const replaced = asConv(node, values.length);
    values.push(replaced.weights);
    return replaced.node;
  });
  return { ...graph, values, nodes };
}
