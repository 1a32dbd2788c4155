import { allocate, bytesOf, type DType, dtypeBytes, elementCount, fromBytes, KingletError, sameShape, type TypedArray } from "../../base/index.ts";
import { type Attributes, GraphBuilder, type Node, type Quantization, type Value } from "../../graph/index.ts";
import { evaluateNode, findOp } from "../../ops/index.ts";
import { elementOf, type ElementType, STRING } from "./elements.ts";
import type { Rule, Site } from "./site.ts";

/** Folding may fill so many bytes, and carry out so many multiply-accumulates, for one file; what is beyond stays in the graph. */
const FOLD_BYTES = 2 ** 30;
const FOLD_MACS = 2 ** 27;
/** Shapes and tables are short; what is longer is not computed ahead of the network. */
const MAX_COMPUTED = 4096;
/** One value's elements; more than any of the machines could hold. */
const MAX_ELEMENTS = 2 ** 30;

/** A node of the file with the rule that imports it. */
export interface Maker {
  readonly site: Site;
  readonly rule: Rule;
}

/** Writes a graph; nodes whose inputs are all known are carried out instead of written. */
export class Importer {
  readonly builder: GraphBuilder;
  readonly name: string;
  /** Contents of a graph input that an operator needs to know, where the caller has them. */
  private readonly known: (input: number) => TypedArray | undefined;
  private readonly elements = new WeakMap<Value, ElementType>();
  /** The network's inputs with their numbers in the file. */
  private readonly inputs = new Map<Value, number>();
  /** Dequantized and stored values with the same numbers as integers of a scale. */
  private readonly twins = new WeakMap<Value, Value>();
  /** The unsigned bytes that a twin was made from. */
  private readonly unsigned = new WeakMap<Value, Value>();
  private readonly makers = new WeakMap<Value, Maker>();
  private readonly counts = new WeakMap<Value, Value>();
  private readonly labels = new Map<Value, readonly string[]>();
  private readonly producers = new Map<Value, Node>();
  private readonly computed = new Map<Value, TypedArray>();
  private bytesLeft = FOLD_BYTES;
  private macsLeft = FOLD_MACS;

  constructor(name: string, known: (input: number) => TypedArray | undefined) {
    this.name = name;
    this.known = known;
    this.builder = new GraphBuilder(name);
  }

  input(name: string, element: ElementType, shape: readonly number[], index: number): Value {
    const value = this.builder.input(name, { dtype: element.dtype, shape });
    this.inputs.set(value, index);
    return value;
  }

  constant(data: TypedArray, dtype: DType, shape: readonly number[], name = `constant_${this.builder.written.length}`): Value {
    return this.builder.constant(name, { dtype, shape }, data);
  }

  /** A scalar or vector of small numbers. */
  numbers(values: readonly number[] | number, dtype: DType): Value {
    const list = typeof values === "number" ? [values] : values;
    const data = allocate(dtype, list.length) as { [index: number]: number | bigint } & TypedArray;
    const wide = dtype === "int64" || dtype === "uint64";
    list.forEach((value, i) => {
      data[i] = wide ? BigInt(value) : value;
    });
    return this.constant(data, dtype, typeof values === "number" ? [] : [list.length]);
  }

  /** Contents where they are known before the network runs: also what is computed from inputs that the caller knows. */
  contents(value: Value): TypedArray | undefined {
    if (value.data !== undefined) return value.data;
    const input = this.inputs.get(value);
    if (input !== undefined) return this.known(input);
    const found = this.computed.get(value);
    if (found !== undefined) return found;
    const node = this.producers.get(value);
    const inputs = node?.inputs.map((each) => (each === null ? null : this.contents(each)));
    if (node === undefined || inputs === undefined || inputs.includes(undefined)) return undefined;
    if (inputs.some((each) => each !== null && each!.length > MAX_COMPUTED)) return undefined;
    const results = evaluateNode(node, inputs as (TypedArray | null)[]);
    node.outputs.forEach((output, i) => this.computed.set(output, results[i]!));
    return this.computed.get(value);
  }

  isMarked(value: Value): boolean {
    return this.elements.has(value);
  }

  elementOf(value: Value): ElementType {
    return this.elements.get(value) ?? elementOf(value.dtype);
  }

  /** Says which of ONNX's element types a value has, where its own does not tell. */
  mark(value: Value, element: ElementType): Value {
    this.elements.set(value, element);
    return value;
  }

  /** Says what the classes are whose scores or positions a value holds. */
  label(value: Value, labels: readonly string[]): void {
    this.labels.set(value, labels);
  }

  /** Says that a value's numbers are positions of strings. */
  strings(value: Value, labels: readonly string[]): Value {
    this.label(value, labels);
    return this.mark(value, STRING);
  }

  /** A constant of strings. */
  texts(texts: readonly string[], shape: readonly number[], name?: string): Value {
    const labels = [...new Set(texts)];
    return this.strings(
      this.constant(
        BigInt64Array.from(texts, (text) => BigInt(labels.indexOf(text))),
        "int64",
        shape,
        name,
      ),
      labels,
    );
  }

  labelsOf(value: Value): readonly string[] | undefined {
    return this.labels.get(value);
  }

  /** Says which value tells how many of another's rows, along its first dimension, count. */
  count(rows: Value, total: Value): void {
    this.counts.set(rows, total);
  }

  countOf(rows: Value): Value | undefined {
    return this.counts.get(rows);
  }

  twin(value: Value): Value | undefined {
    return this.twins.get(value);
  }

  pair(value: Value, twin: Value): void {
    this.twins.set(value, twin);
  }

  /** The unsigned bytes, with their scale, whose twin a value is. */
  unsignedOf(twin: Value): Value | undefined {
    return this.unsigned.get(twin);
  }

  markSigned(twin: Value, unsigned: Value): void {
    this.unsigned.set(twin, unsigned);
  }

  /** The operator of the file whose result a value is. */
  madeBy(value: Value): Maker | undefined {
    return this.makers.get(value);
  }

  remember(value: Value, maker: Maker): void {
    this.makers.set(value, maker);
  }

  spend(bytes: number, place: string): void {
    this.bytesLeft -= bytes;
    if (this.bytesLeft < 0)
      throw new KingletError("bad-file", "the file asks for more constants than any machine could hold", { place, hint: "Export the model again." });
  }

  /**
   * Adds a node, or carries it out. Outputs have the types of the operator's shape rule.
   * @throws KingletError `bad-graph` where the inputs do not fit
   */
  emit(op: string, inputs: readonly (Value | null)[], attributes: Attributes = {}, quantization?: Quantization): Value[] {
    for (const input of inputs) {
      if (input !== null && elementCount(input.shape) === 0)
        throw new KingletError("unsupported", `"${input.name}" has no elements, and Kinglet has no empty tensors`);
    }
    const definition = findOp(op)!;
    const types = definition.infer(inputs, attributes);
    for (const type of types) {
      if (type.shape.some((dim) => dim < 1) || elementCount(type.shape) > MAX_ELEMENTS)
        throw new KingletError("unsupported", `${op} would give a tensor of the shape [${type.shape.join(",")}]`);
    }
    const called = `${op}_${this.builder.written.length}`;
    const outputs = types.map(
      (type, i): Value => ({
        ...type,
        ...(quantization === undefined ? {} : { quantization }),
        name: types.length === 1 ? called : `${called}_${i}`,
        id: -1,
      }),
    );
    const node = { op, name: called, inputs, outputs, attributes };
    if (this.foldable(node)) return this.folded(node, definition.alias === true);
    const values = outputs.map(({ id: _, name, ...type }) => this.builder.value(name, type));
    const written = this.builder.node(op, inputs, values, attributes, called);
    for (const value of values) this.producers.set(value, written);
    return values;
  }

  private foldable(node: Node): boolean {
    if (node.inputs.some((input) => input !== null && input.data === undefined)) return false;
    const macs = findOp(node.op)!.macs?.(node) ?? 0;
    const size = node.outputs.reduce((sum, { shape, dtype }) => sum + elementCount(shape) * dtypeBytes(dtype), 0);
    if (size > this.bytesLeft || macs > this.macsLeft) return false;
    this.bytesLeft -= size;
    this.macsLeft -= macs;
    return true;
  }

  private folded(node: Node, alias: boolean): Value[] {
    const data = alias
      ? [node.inputs[0]!.data!]
      : evaluateNode(
          node,
          node.inputs.map((input) => input?.data ?? null),
        );
    return node.outputs.map(({ id: _, name, ...type }, i) => this.builder.constant(name, type, data[i]!));
  }

  /** The same elements under another shape. */
  reshape(value: Value, shape: readonly number[]): Value {
    if (sameShape(value.shape, shape)) return value;
    return this.emit("reshape", [value], { shape: [...shape] }, value.quantization)[0]!;
  }

  /** A constant or input as the result of a node, for outputs of the network. */
  copy(value: Value, name: string): Value {
    const { dtype, shape, quantization } = value;
    const output = this.builder.value(name, quantization === undefined ? { dtype, shape } : { dtype, shape, quantization });
    this.builder.node("reshape", [value], [output], { shape: [...value.shape] });
    return output;
  }

  /** A constant's elements under another type of the same bits. */
  reinterpret(value: Value, dtype: DType, shape: readonly number[]): Value {
    return this.constant(fromBytes(dtype, bytesOf(value.data!)), dtype, shape);
  }
}
