import { type Graph, GraphBuilder, type Node, type Value } from "../../graph/index.ts";
import { applyOp, findOp, type TensorQuantization } from "../../ops/index.ts";
import { type NodeDomain, nodeDomains } from "./domains.ts";
import { Groups } from "./groups.ts";
import type { QuantizeOptions } from "./quantize.ts";
import { type IntegerDomain, isFloat, ruleOf } from "./rules.ts";
import { largestWeight } from "./weights.ts";

/** A floating-point network that computes what its quantized form will, as far as rounding goes. */
export interface FakeQuantized {
  readonly graph: Graph;
  /** For each constant of the source, the id of the same constant in `graph`. */
  readonly constants: ReadonlyMap<Value, number>;
}

/** What only moves numbers leaves them on their grid; these compute new ones at the same scale. */
const ROUNDS = new Set(["averagePool2d", "resizeBilinear"]);

class FakeQuantizer {
  readonly constants = new Map<Value, number>();
  private readonly source: Graph;
  private readonly options: QuantizeOptions;
  private readonly groups: Groups;
  private readonly domains: readonly NodeDomain[];
  private readonly builder: GraphBuilder;
  /** What stands for a value, by id, and its rounded forms by scale. */
  private readonly values = new Map<number, Value>();
  private readonly forms = new Map<string, Value>();

  constructor(source: Graph, options: QuantizeOptions) {
    this.source = source;
    this.options = options;
    this.domains = nodeDomains(source, options);
    this.groups = new Groups(source, this.domains, options.ranges);
    this.builder = new GraphBuilder(source.name);
  }

  run(): Graph {
    for (const value of this.source.inputs) this.values.set(value.id, this.builder.input(value.name, value));
    this.source.nodes.forEach((node, i) => this.copy(node, this.domains[i]!));
    for (const value of this.source.outputs) this.builder.output(this.of(value));
    for (const [key, text] of Object.entries(this.source.metadata)) this.builder.note(key, text);
    return this.builder.build();
  }

  private of(value: Value): Value {
    const known = this.values.get(value.id);
    if (known !== undefined) return known;
    const made =
      value.data === undefined
        ? this.builder.variable(value.name, value, value.initial)
        : this.builder.constant(value.name, { dtype: value.dtype, shape: value.shape, quantization: value.quantization }, value.data);
    if (value.data !== undefined) this.constants.set(value, made.id);
    this.values.set(value.id, made);
    return made;
  }

  private rounded(value: Value, from: Value, quantization: TensorQuantization, dtype: IntegerDomain): Value {
    const key = `${value.id}:${dtype}:${quantization.scale}:${quantization.zeroPoint}`;
    const known = this.forms.get(key);
    if (known !== undefined) return known;
    const made = applyOp(this.builder, "fakeQuantize", [from], { dtype, ...quantization }, `${value.name} as ${dtype} ${this.forms.size}`)[0]!;
    this.forms.set(key, made);
    return made;
  }

  private weights(value: Value, axis: number): Value {
    const key = `${value.id}:weights`;
    const limit = largestWeight(this.options.bits ?? 8);
    const attributes = this.options.perAxis === false ? { limit } : { limit, axis };
    const made = this.forms.get(key) ?? applyOp(this.builder, "fakeQuantizeWeights", [this.of(value)], attributes, `${value.name} rounded`)[0]!;
    this.forms.set(key, made);
    return made;
  }

  /** An input as the node gets it. Biases have 32 bits or more: their rounding is not felt. */
  private operand(node: Node, value: Value, index: number, { domain }: NodeDomain): Value {
    if (domain === "float" || !isFloat(value)) return this.of(value);
    const rule = ruleOf(node)!;
    if (rule.kind === "weights" && index > 0) return index === 1 ? this.weights(value, rule.axis) : this.of(value);
    return this.rounded(value, this.of(value), this.groups.operand(node, value, domain), domain);
  }

  private copy(node: Node, domain: NodeDomain): void {
    const inputs = node.inputs.map((value, i) => (value === null ? null : this.operand(node, value, i, domain)));
    const outputs = node.outputs.map((value) => this.builder.value(value.name, value));
    this.builder.node(node.op, inputs, outputs, node.attributes, node.name);
    node.outputs.forEach((value, i) => this.values.set(value.id, this.result(node, value, outputs[i]!, domain)));
  }

  private result(node: Node, value: Value, made: Value, { domain }: NodeDomain): Value {
    const onGrid = findOp(node.op)?.alias === true || (ruleOf(node)?.kind === "same" && !ROUNDS.has(node.op));
    // A loss wants what a closing softmax was given.
    const closing = node.op === "softmax" && this.source.outputs.includes(value);
    if (domain === "float" || !isFloat(value) || onGrid || closing) return made;
    return this.rounded(value, made, this.groups.quantization(value, domain), domain);
  }
}

/**
 * Writes fake quantization into a floating-point network wherever `quantizeGraph` with the same options would round: weights by the
 * scales that they have at each moment, activations by their given ranges. Batch norms are folded before (see
 * `prepareForQuantization`), by their running statistics: what is trained is then, number for number, what is quantized.
 * @param source from `prepareForQuantization`
 */
export function fakeQuantize(source: Graph, options: QuantizeOptions): FakeQuantized {
  const writer = new FakeQuantizer(source, options);
  const graph = writer.run();
  return { graph, constants: writer.constants };
}
