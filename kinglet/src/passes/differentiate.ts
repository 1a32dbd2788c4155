import { elementCount, KingletError, type Shape } from "../base/index.ts";
import type { GraphBuilder, Node, Value } from "../graph/index.ts";
import { applyOp, findGradient, type GradientContext } from "../ops/index.ts";

/** Values whose gradients are needed on the way to the wanted ones: everything that depends on one of them. */
function dependents(nodes: readonly Node[], wanted: readonly Value[]): Set<number> {
  const ids = new Set(wanted.map(({ id }) => id));
  for (const node of nodes) {
    if (node.inputs.some((value) => value !== null && ids.has(value.id))) for (const output of node.outputs) ids.add(output.id);
  }
  return ids;
}

class Differentiation {
  private readonly builder: GraphBuilder;
  private readonly needed: ReadonlySet<number>;
  /** What is known of each value's gradient: terms that are still to be added up. */
  private readonly terms = new Map<number, Value[]>();
  /** Nodes whose operator has no rule. */
  readonly missing: Node[] = [];
  private readonly channels: ReadonlyMap<Value, number>;

  constructor(builder: GraphBuilder, needed: ReadonlySet<number>, channels: ReadonlyMap<Value, number>) {
    this.builder = builder;
    this.needed = needed;
    this.channels = channels;
  }

  private constant(name: string, shape: Shape, data: Float32Array): Value {
    return this.builder.constant(`${name}_${this.builder.written.length}`, { dtype: "float32", shape }, data);
  }

  private contextOf(node: Node): GradientContext {
    return {
      apply: (op, inputs, attributes) => applyOp(this.builder, op, inputs, attributes),
      constant: (name, shape, data) => this.constant(name, shape, data),
      wanted: (index) => this.needed.has(node.inputs[index]?.id ?? -1),
      channels: (index) => this.channels.get(node.inputs[index]!) ?? node.inputs[index]!.shape.at(-1)!,
    };
  }

  private unknown({ dtype, shape }: Value): Value | null {
    return dtype === "float32" ? this.constant("unknown", shape, new Float32Array(elementCount(shape))) : null;
  }

  seed(loss: Value): void {
    this.terms.set(loss.id, [this.constant("one", loss.shape, new Float32Array(elementCount(loss.shape)).fill(1))]);
  }

  /** The gradient of a value, its terms added up; null where the loss does not depend on it. */
  gradientOf(value: Value): Value | null {
    const terms = this.terms.get(value.id) ?? [];
    if (terms.length === 0) return null;
    const total = terms.reduce((sum, term) => applyOp(this.builder, "add", [sum, term], { activation: "none" })[0]!);
    this.terms.set(value.id, [total]);
    return total;
  }

  through(node: Node): void {
    if (!node.inputs.some((value) => value !== null && this.needed.has(value.id))) return;
    const dy = node.outputs.map((output) => this.gradientOf(output));
    if (dy.every((each) => each === null)) return;
    const rule = findGradient(node.op);
    if (rule === undefined) this.missing.push(node);
    // Behind a missing rule anything will do: the walk goes on only to name the others.
    const gradients = rule === undefined ? node.inputs.map((value) => value && this.unknown(value)) : rule(this.contextOf(node), node, dy);
    node.inputs.forEach((value, i) => {
      const gradient = gradients[i];
      if (value === null || !gradient || !this.needed.has(value.id)) return;
      this.terms.set(value.id, [...(this.terms.get(value.id) ?? []), gradient]);
    });
  }
}

/**
 * Reverse-mode differentiation: appends to `builder` the nodes that compute the gradient of the sum of `loss` with respect to each
 * of `wanted`. Nodes that none of them depends on get no backward part. Every operator's rule is in `ops/gradients/`. A quantized value's
 * gradient is that of the real numbers it stands for, in floating point; rounding is passed straight through.
 * @param channels of these weights of layers, ungrouped convolutions or fully connected ones, only the gradient of so many channels (the
 * last dimension) is computed: they are a concatenation whose first part is wanted, of so many channels.
 * @returns for each of `wanted` its gradient (of its shape), or null where the loss does not depend on it.
 * @throws KingletError `unsupported` that names all nodes in the way whose operators have no gradient; the builder is of no use then.
 */
export function differentiate(
  builder: GraphBuilder,
  loss: Value,
  wanted: readonly Value[],
  channels: ReadonlyMap<Value, number> = new Map(),
): (Value | null)[] {
  const nodes = [...builder.written];
  const differentiation = new Differentiation(builder, dependents(nodes, wanted), channels);
  differentiation.seed(loss);
  for (const node of nodes.reverse()) differentiation.through(node);
  const { missing } = differentiation;
  if (missing.length > 0) {
    const list = missing.map(({ op, name }) => `${op} has no gradient (node "${name}")`).join("; ");
    throw new KingletError("unsupported", list, { hint: "Freeze what lies before these nodes." });
  }
  return wanted.map((value) => differentiation.gradientOf(value));
}
