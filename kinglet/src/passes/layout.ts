import { elementCount, inverseOf, isIdentity, keepsOrder, type Permutation, permuteData, permuted, sameShape } from "../base/index.ts";
import type { Attributes, Graph, Node, Value } from "../graph/index.ts";
import { attributesOf, findOp } from "../ops/index.ts";

/** Operators that do the same to every element: a transpose before them is one behind them. */
const ELEMENTWISE = new Set(
  (
    "add sub mul div addN squaredDifference maximum minimum pow floorDiv floorMod equal notEqual less lessEqual greater greaterEqual logicalAnd logicalOr " +
    "logicalNot select bitwiseAnd bitwiseOr bitwiseXor bitwiseNot shiftLeft shiftRight relu relu6 reluN1To1 leakyRelu prelu hardSwish elu gelu logistic " +
    "tanh exp log sqrt rsqrt abs neg floor ceil round sin cos atan erf square cast quantize dequantize roundFloat"
  ).split(" "),
);
const REDUCTIONS = new Set(["mean", "sum", "reduceMax", "reduceMin", "reduceProd"]);

/** A value as the transpose of another that is at hand: value = transpose(base, permutation). */
interface Turned {
  readonly base: Value;
  readonly permutation: Permutation;
}

/** Carries transposes down the graph; each is written only where something needs it, and two that meet are one or none. */
class Layout {
  private readonly values: Value[];
  private readonly nodes: Node[] = [];
  /** By the value's id. */
  private readonly turned = new Map<number, Turned>();
  /** Values that some node of the new graph gives already. */
  private readonly written = new Set<number>();
  private nextId: number;

  private readonly graph: Graph;

  constructor(graph: Graph) {
    this.graph = graph;
    this.values = [...graph.values];
    this.nextId = Math.max(-1, ...graph.values.map((value) => value.id)) + 1;
  }

  run(): Graph {
    for (const node of this.graph.nodes) this.visit(node);
    for (const output of this.graph.outputs) this.plain(output);
    return { ...this.graph, values: this.values, nodes: this.nodes };
  }

  private newValue(value: Omit<Value, "id">): Value {
    const made = { ...value, id: this.nextId++ };
    this.values.push(made);
    return made;
  }

  private write(node: Node): void {
    this.nodes.push(node);
    for (const output of node.outputs) this.written.add(output.id);
  }

  /** The value itself, for whoever needs it in its own layout. */
  private plain(value: Value): Value {
    const turned = this.turned.get(value.id);
    if (turned === undefined || this.written.has(value.id)) return value;
    if (isIdentity(turned.permutation) && !this.graph.outputs.some(({ id }) => id === value.id)) return turned.base;
    this.write(this.transposeNode(turned.base, turned.permutation, value));
    return value;
  }

  private transposeNode(x: Value, permutation: Permutation, output: Value): Node {
    const free = keepsOrder(x.shape, permutation);
    const attributes: Attributes = free ? { shape: [...output.shape] } : { permutation: [...permutation] };
    return { op: free ? "reshape" : "transpose", name: `${output.name}_layout`, inputs: [x], outputs: [output], attributes };
  }

  private visit(node: Node): void {
    if (node.op === "transpose") return this.carry(node);
    const turned = this.turn(node);
    if (turned === null) this.write({ ...node, inputs: node.inputs.map((value) => (value === null ? null : this.plain(value))) });
  }

  /** A transpose is remembered, not written; behind another it makes one with it. */
  private carry(node: Node): void {
    const [x, y] = [node.inputs[0]!, node.outputs[0]!];
    const own = attributesOf<{ permutation: number[] }>(node).permutation;
    const before = this.turned.get(x.id);
    const permutation = before === undefined ? own : permuted(before.permutation, own);
    this.turned.set(y.id, { base: before?.base ?? x, permutation });
  }

  /** The permutation that a node's inputs come with, where computing in the layout behind it saves more transposes than it costs. */
  private commonPermutation(node: Node): Permutation | null {
    const rank = node.outputs[0]!.shape.length;
    const open = node.inputs.filter((value): value is Value => value !== null && value.data === undefined && elementCount(value.shape) > 1);
    const first = open.map((value) => this.turned.get(value.id)?.permutation).find((p) => p !== undefined && p.length === rank && !isIdentity(p));
    if (first === undefined) return null;
    const fits = open.filter((value) => this.turned.get(value.id)?.permutation.join() === first.join()).length;
    return 2 * fits >= open.length ? first : null;
  }

  private turn(node: Node): true | null {
    if (node.outputs.length !== 1) return null;
    const own = this.turned.get((node.inputs[0] ?? node.outputs[0]!).id)?.permutation;
    if (ELEMENTWISE.has(node.op)) return this.turnElementwise(node);
    if (node.op === "concatenation") return this.turnConcatenation(node);
    if (own === undefined || isIdentity(own) || (node.outputs[0]!.quantization?.scales.length ?? 1) > 1) return null;
    const attributes = this.movedAttributes(node, own);
    return attributes === null
      ? null
      : this.replace(node, [this.turned.get(node.inputs[0]!.id)!.base, ...node.inputs.slice(1)], attributes, this.behind(node, own));
  }

  private turnElementwise(node: Node): true | null {
    const p = this.commonPermutation(node);
    if (p === null || node.inputs.some((value) => value !== null && (value.quantization?.scales.length ?? 1) > 1)) return null;
    return this.replace(
      node,
      node.inputs.map((value) => (value === null ? null : this.inLayout(value, p))),
      node.attributes,
      p,
    );
  }

  private turnConcatenation(node: Node): true | null {
    const p = this.commonPermutation(node);
    if (p === null) return null;
    // value = transpose(base, p): dimension d of the value is dimension p[d] of the base.
    const axis = p[attributesOf<{ axis: number }>(node).axis]!;
    return this.replace(
      node,
      node.inputs.map((value) => (value === null ? null : this.inLayout(value, p))),
      { ...node.attributes, axis },
      p,
    );
  }

  /** An operand as it lies behind permutation `p`: transpose(result, p) = value, as far as broadcasting goes. */
  private inLayout(value: Value, p: Permutation): Value {
    const turned = this.turned.get(value.id);
    if (turned !== undefined && turned.permutation.join() === p.join()) return turned.base;
    if (elementCount(value.shape) === 1 && value.shape.length <= 1) return this.plain(value);
    const inverse = inverseOf(p);
    const long = [...new Array<number>(p.length - value.shape.length).fill(1), ...value.shape];
    const shape = permuted(long, inverse);
    const { id: _, name, data, ...type } = value;
    if (data !== undefined) return this.newValue({ ...type, name: `${name}_layout`, shape, data: permuteData(data, long, inverse) });
    let plain = this.plain(value);
    if (!sameShape(long, value.shape)) {
      const reshaped = this.newValue({ ...type, name: `${name}_long`, shape: long });
      this.write({ op: "reshape", name: reshaped.name, inputs: [plain], outputs: [reshaped], attributes: { shape: long } });
      plain = reshaped;
    }
    const output = this.newValue({ ...type, name: `${name}_layout`, shape });
    this.write(this.transposeNode(plain, inverse, output));
    return output;
  }

  /** Attributes that name dimensions, for the layout behind `p`; null where the operator cannot follow. */
  private movedAttributes(node: Node, p: Permutation): Attributes | null {
    const a = node.attributes as Readonly<Record<string, readonly number[]>>;
    const behind = inverseOf(p);
    const move = (list: readonly number[]): number[] => permuted(list, behind);
    if (REDUCTIONS.has(node.op)) return { ...node.attributes, axes: a["axes"]!.map((d) => p[d]!).sort((x, y) => x - y) };
    if (node.op === "pad" || node.op === "mirrorPad") return { ...node.attributes, before: move(a["before"]!), after: move(a["after"]!) };
    if (node.op === "slice") return { begin: move(a["begin"]!), size: move(a["size"]!) };
    if (node.op === "stridedSlice" && sameShape(a["shape"]!, a["newShape"]!))
      return { begin: move(a["begin"]!), strides: move(a["strides"]!), shape: move(a["shape"]!), newShape: move(a["newShape"]!) };
    // A reshape to the same shape changes what is known of a value, not its elements.
    if (node.op === "reshape" && sameShape(node.inputs[0]!.shape, node.outputs[0]!.shape)) return { shape: move(node.outputs[0]!.shape) };
    if (node.op === "tile") return { multiples: move(a["multiples"]!) };
    const { axis, batchDims } = attributesOf<{ axis: number; batchDims: number }>(node);
    if (node.op === "gather" && batchDims === 0 && node.inputs[1]!.shape.length === 1) return { axis: p[axis]!, batchDims };
    return null;
  }

  /** The permutation that lies behind a node: that before it, without dimensions that a reduction drops. */
  private behind(node: Node, p: Permutation): Permutation {
    if (!REDUCTIONS.has(node.op) || node.attributes["keepDims"] === true) return p;
    const gone = attributesOf<{ axes: number[] }>(node).axes;
    const kept = p.filter((_, d) => !gone.includes(d));
    const order = [...kept].sort((a, b) => a - b);
    return kept.map((d) => order.indexOf(d));
  }

  private replace(node: Node, inputs: readonly (Value | null)[], attributes: Attributes, p: Permutation): true {
    const output = node.outputs[0]!;
    const [type] = findOp(node.op)!.infer(inputs, attributes);
    const { id: _, data: __, ...rest } = output;
    const turned = this.newValue({ ...rest, name: `${output.name}_turned`, shape: type!.shape });
    this.write({ ...node, inputs, outputs: [turned], attributes });
    this.turned.set(output.id, { base: turned, permutation: p });
    return true;
  }
}

/**
 * Moves transposes down until they meet the next, with which they are one or none: networks that came channels first then run channels
 * last, with a transpose left only where they begin, end, or change their mind.
 */
export function layOut(graph: Graph): Graph {
  return graph.nodes.some((node) => node.op === "transpose") ? new Layout(graph).run() : graph;
}
