import { elementCount } from "../../base/index.ts";
import type { Graph, Node, Value } from "../../graph/index.ts";
import { makersOf, readersOf, sameScale, without } from "./tidy.ts";

/** Kinglet's layers have a bias and an activation of their own, where a file says them in nodes behind. */

/** A node that becomes part of the layer before it. */
interface Absorbed {
  readonly layer: Node;
  /** What the node reads of the layer. */
  readonly before: Value;
  readonly inputs?: readonly (Value | null)[];
  readonly attributes?: Node["attributes"];
}

/** The node that made a value, where one node alone reads that. */
type OnlyMaker = (value: Value | null | undefined) => Node | undefined;

function absorb(graph: Graph, find: (node: Node, makerOf: OnlyMaker) => Absorbed | null): Graph {
  const [readers, makers] = [readersOf(graph), makersOf(graph)];
  const makerOf: OnlyMaker = (value) => (value && readers.get(value)?.length === 1 && !graph.outputs.includes(value) ? makers.get(value) : undefined);
  const changed = new Map<Node, Absorbed>();
  const gone: Node[] = [];
  const replaced = new Map<Value, Value>();
  for (const node of graph.nodes) {
    const found = find(node, makerOf);
    if (found === null || changed.has(found.layer)) continue;
    changed.set(found.layer, found);
    gone.push(node);
    // The layer, or the transpose behind it, gives what the node gave.
    const result = { ...found.before, name: node.outputs[0]!.name };
    replaced.set(found.before, result).set(node.outputs[0]!, result);
  }
  const given = [...changed.values()].flatMap(({ inputs = [] }) => inputs.filter((value) => value !== null && !graph.values.includes(value)));
  return without({ ...graph, values: [...graph.values, ...(given as Value[])] }, gone, replaced, (node) => {
    const { inputs = node.inputs, attributes = node.attributes } = changed.get(node) ?? {};
    return { ...node, inputs, attributes };
  });
}

/** A constant for each output of a fully connected layer that is added to its sums is its bias. */
export function fuseBiases(graph: Graph): Graph {
  let nextId = graph.values.reduce((most, { id }) => Math.max(most, id + 1), 0);
  return absorb(graph, (node, makerOf) => {
    if (node.op !== "add" || node.attributes["activation"] !== "none" || node.outputs[0]!.dtype !== "float32") return null;
    const [before, bias] = node.inputs[1]?.data !== undefined ? node.inputs : [...node.inputs].reverse();
    const layer = makerOf(before);
    if (layer?.op !== "fullyConnected" || layer.inputs[2] || layer.attributes["activation"] !== "none" || bias?.data === undefined) return null;
    const outputs = layer.inputs[1]!.shape[0]!;
    const isVector = elementCount(bias.shape) === outputs && bias.shape.at(-1) === outputs && bias.shape.length <= before!.shape.length;
    if (!isVector) return null;
    const vector = bias.shape.length === 1 ? bias : { ...bias, id: nextId++, shape: [outputs] };
    return { layer, before: before!, inputs: [...layer.inputs.slice(0, 2), vector] };
  });
}

const ACTIVATIONS = new Set(["relu", "relu6", "reluN1To1"]);
/** Operators that clamp their own results. */
const CLAMPING = new Set("conv2d depthwiseConv2d transposeConv2d fullyConnected averagePool2d maxPool2d batchNorm add sub mul div".split(" "));

/** Clamps that stand alone behind a layer, or behind the transpose of its result, become the layer's own. */
export function fuseActivations(graph: Graph): Graph {
  return absorb(graph, (node, makerOf) => {
    const before = node.inputs[0];
    if (!ACTIVATIONS.has(node.op) || !before || !sameScale(before.quantization, node.outputs[0]!.quantization)) return null;
    const maker = makerOf(before);
    const layer = maker?.op === "transpose" ? makerOf(maker.inputs[0]) : maker;
    if (layer === undefined || !CLAMPING.has(layer.op) || layer.attributes["activation"] !== "none") return null;
    return { layer, before, attributes: { ...layer.attributes, activation: node.op } };
  });
}
