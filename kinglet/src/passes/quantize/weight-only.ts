import { decodeFloat16, elementCount, encodeFloat16 } from "../../base/index.ts";
import { type Attributes, type Graph, GraphBuilder, type Node, type Value } from "../../graph/index.ts";
import { inputOf } from "../../ops/index.ts";
import { outputRanges, layerView } from "./layer.ts";
import { isFloat, ruleOf } from "./rules.ts";
import { largestWeight, roundWeights, type WeightOptions } from "./weights.ts";

/** Operators whose kernels take float activations with int8 weights. */
const HYBRID = new Set(["conv2d", "depthwiseConv2d", "fullyConnected"]);

function isHybridLayer(node: Node): boolean {
  const [x, w] = node.inputs;
  return HYBRID.has(node.op) && isFloat(x) && isFloat(w) && w.data !== undefined;
}

/** Makes a value of the new graph for one of the old, once. */
class Copy {
  readonly builder: GraphBuilder;
  private readonly made = new Map<number, Value>();

  constructor(graph: Graph) {
    this.builder = new GraphBuilder(graph.name);
    for (const value of graph.inputs) this.made.set(value.id, this.builder.input(value.name, value));
  }

  value(value: Value, change: (value: Value) => Value): Value {
    const known = this.made.get(value.id);
    if (known !== undefined) return known;
    const made = this.make(change(value));
    this.made.set(value.id, made);
    return made;
  }

  private make(value: Value): Value {
    if (value.variable === true) return this.builder.variable(value.name, value, value.initial);
    return value.data === undefined ? this.builder.value(value.name, value) : this.builder.constant(value.name, value, value.data);
  }

  finish(graph: Graph, change: (value: Value) => Value): Graph {
    for (const value of graph.outputs) this.builder.output(this.value(value, change));
    for (const [key, text] of Object.entries(graph.metadata)) this.builder.note(key, text);
    return this.builder.build();
  }
}

const unchanged = (value: Value): Value => value;

function hybridWeights(node: Node, options: WeightOptions): Value {
  const w = inputOf(node, 1);
  const bits = options.bits ?? 8;
  const most = outputRanges(layerView(node), w.data as Float32Array);
  const ranges = options.perAxis === false ? [Math.max(...most)] : most;
  const scales = ranges.map((largest) => Math.fround(largest / largestWeight(bits)) || 1);
  const rule = ruleOf(node)!;
  const axis = scales.length > 1 && rule.kind === "weights" ? rule.axis : 0;
  const quantization = { scales, zeroPoints: scales.map(() => 0), axis };
  return { ...w, dtype: "int8", data: roundWeights(node, quantization, bits), quantization };
}

/**
 * Dynamic range: weights of convolutions and fully connected layers become int8 (or 4-bit numbers in bytes), activations
 * stay floats and are quantized row by row while the network runs. No calibration is needed.
 */
export function quantizeDynamic(graph: Graph, options: WeightOptions = {}): Graph {
  const copy = new Copy(graph);
  for (const node of graph.nodes) {
    const layer = isHybridLayer(node);
    const inputs = node.inputs.map((value, i) => {
      if (value === null) return null;
      if (!layer || i !== 1) return copy.value(value, unchanged);
      const weights = hybridWeights(node, options);
      return copy.builder.constant(weights.name, weights, weights.data!);
    });
    const outputs = node.outputs.map((value) => copy.value(value, unchanged));
    const attributes: Attributes = layer && node.op === "fullyConnected" ? { ...node.attributes, asymmetricQuantizeInputs: true } : node.attributes;
    copy.builder.node(node.op, inputs, outputs, attributes, node.name);
  }
  return copy.finish(graph, unchanged);
}

/** Shorter constants (biases, mostly) cost little and are left as they are. */
const WORTH_HALVING = 32;

/**
 * Rounds floating-point constants to half precision. A `.kinglet` file then stores them in two bytes; kernels compute
 * with them in single precision, so compiled code is not smaller.
 */
export function roundToFloat16(graph: Graph): Graph {
  const copy = new Copy(graph);
  const halve = (value: Value): Value =>
    value.data === undefined || !isFloat(value) || elementCount(value.shape) < WORTH_HALVING
      ? value
      : { ...value, data: decodeFloat16(encodeFloat16(value.data as Float32Array)) };
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((value) => (value === null ? null : copy.value(value, halve)));
    const outputs = node.outputs.map((value) => copy.value(value, halve));
    copy.builder.node(node.op, inputs, outputs, node.attributes, node.name);
  }
  return copy.finish(graph, halve);
}
