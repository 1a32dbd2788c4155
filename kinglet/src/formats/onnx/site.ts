import { type DType, elementCount, KingletError, type TypedArray } from "../../base/index.ts";
import type { Attributes, Quantization, Value } from "../../graph/index.ts";
import type { ElementType } from "./elements.ts";
import type { Importer } from "./importer.ts";
import type { AttributeProto, GraphProto, NodeProto } from "./proto.ts";
import { emptyAttribute } from "./schema.ts";
import { decodeTensor, type ExternalFiles, type Tensor } from "./tensor.ts";

/** What an importer's rule gives: the node's outputs; null where the rule does not make an optional one. */
export type Results = Value | readonly (Value | null)[];
export function resultList(results: Results): readonly (Value | null)[] {
  return Array.isArray(results) ? results : [results as Value];
}

/** Writes the nodes that carry out one ONNX operator. */
export type Rule = (site: Site) => Results;

const DECODER = new TextDecoder();

/** One node of the file and where it stands: what a rule reads from, and writes with. */
export class Site {
  readonly node: NodeProto;
  readonly importer: Importer;
  /** The version of the operator's domain. */
  readonly version: number;
  readonly inputs: readonly (Value | null)[];
  private readonly attributes: ReadonlyMap<string, AttributeProto>;
  private readonly files: ExternalFiles;
  /** The scale of the result, where the operator is imported in its integer form. */
  readonly quantization: Quantization | undefined;

  constructor(
    node: NodeProto,
    importer: Importer,
    version: number,
    inputs: readonly (Value | null)[],
    files: ExternalFiles,
    quantization?: Quantization,
  ) {
    this.node = node;
    this.importer = importer;
    this.version = version;
    this.inputs = inputs;
    this.quantization = quantization;
    this.attributes = new Map(node.attributes.map((attribute) => [attribute.name, attribute]));
    this.files = files;
  }

  /** The same node on other inputs; layers then give their result on the scale `quantization`. */
  withInputs(inputs: readonly (Value | null)[], quantization?: Quantization): Site {
    return new Site(this.node, this.importer, this.version, inputs, this.files, quantization);
  }

  /** Another operator on other inputs, with this one's attributes and some more. */
  as(op: string, inputs: readonly (Value | null)[], more: Readonly<Record<string, number>> = {}): Site {
    const added = Object.entries(more).map(([name, value]) => ({ ...emptyAttribute(name), int: BigInt(value) }));
    return new Site({ ...this.node, op, attributes: [...this.node.attributes, ...added] }, this.importer, this.version, inputs, this.files);
  }

  get place(): string {
    return `${this.importer.name}, ${this.node.op} "${this.node.name || (this.node.outputs[0] ?? "")}"`;
  }

  fail(message: string): never {
    throw new KingletError("bad-file", message, { place: this.place });
  }

  unsupported(message: string, hint = "Export the model without it, or compute this part outside of the model."): never {
    throw new KingletError("unsupported", message, { place: this.place, hint });
  }

  // Inputs

  optional(index: number): Value | null {
    return this.inputs[index] ?? null;
  }

  input(index: number): Value {
    return this.optional(index) ?? this.fail(`input ${index} is missing`);
  }

  shape(index: number): readonly number[] {
    return this.input(index).shape;
  }

  element(index: number): ElementType {
    return this.importer.elementOf(this.input(index));
  }

  /** Contents of an input that must be known before the network runs. */
  known(index: number): TypedArray {
    const value = this.input(index);
    return (
      this.importer.contents(value) ??
      this.unsupported(
        `input ${index} "${value.name}" is computed while the network runs, and shapes and tables must be known before`,
        "Make it a constant of the model (an initializer).",
      )
    );
  }

  /** The same as numbers; undefined where an optional input is absent. */
  numbers(index: number): number[] | undefined {
    return this.optional(index) === null ? undefined : Array.from<number | bigint, number>(this.known(index), Number);
  }

  /** The numbers of an input in newer versions, of an attribute in older ones. */
  numbersOr(index: number, attribute: string): number[] | undefined {
    return this.numbers(index) ?? this.ints(attribute);
  }

  // Attributes

  has(name: string): boolean {
    return this.attributes.has(name);
  }

  int(name: string, otherwise: number): number {
    const attribute = this.attributes.get(name);
    return attribute === undefined ? otherwise : Number(attribute.int);
  }

  float(name: string, otherwise: number): number {
    return this.attributes.get(name)?.float ?? otherwise;
  }

  text(name: string, otherwise: string): string {
    const bytes = this.attributes.get(name)?.text;
    return bytes ? DECODER.decode(bytes) : otherwise;
  }

  texts(name: string): string[] | undefined {
    return this.attributes.get(name)?.texts.map((bytes) => DECODER.decode(bytes));
  }

  ints(name: string): number[] | undefined {
    return this.attributes.get(name)?.ints.map(Number);
  }

  floats(name: string): number[] | undefined {
    return this.attributes.get(name)?.floats;
  }

  /** Numbers of a list, or of a tensor that is called so or with `_as_tensor` behind, in single precision. */
  reals(name: string): number[] | undefined {
    const tensor = this.tensor(name) ?? this.tensor(`${name}_as_tensor`);
    return tensor === undefined ? this.floats(name) : Array.from<number | bigint, number>(tensor.data, Number);
  }

  attribute(name: string): AttributeProto | undefined {
    return this.attributes.get(name);
  }

  tensor(name: string): Tensor | undefined {
    const proto = this.attributes.get(name)?.tensor;
    return proto ? decodeTensor(proto, this.place, this.files) : undefined;
  }

  graph(name: string): GraphProto {
    return this.attributes.get(name)?.graph ?? this.fail(`the attribute ${name} holds no graph`);
  }

  // Axes

  axis(axis: number, rank: number): number {
    const found = axis < 0 ? axis + rank : axis;
    if (!Number.isInteger(found) || found < 0 || found >= rank) this.fail(`there is no axis ${axis} among ${rank}`);
    return found;
  }

  axes(axes: readonly number[], rank: number): number[] {
    const found = axes.map((axis) => this.axis(axis, rank));
    if (new Set(found).size !== found.length) this.fail(`the axes ${axes.join(", ")} name one twice`);
    return found;
  }

  // Writing

  emit(op: string, inputs: readonly (Value | null)[], attributes: Attributes = {}, quantization?: Quantization): Value {
    return this.importer.emit(op, inputs, attributes, quantization)[0]!;
  }

  reshape(value: Value, shape: readonly number[]): Value {
    if (elementCount(shape) !== elementCount(value.shape)) this.fail(`[${value.shape.join(",")}] cannot be seen as [${shape.join(",")}]`);
    const result = this.importer.reshape(value, shape);
    return result === value ? result : this.importer.mark(result, this.importer.elementOf(value));
  }

  transpose(value: Value, permutation: readonly number[]): Value {
    if (permutation.every((d, i) => d === i)) return value;
    return this.emit("transpose", [value], { permutation: [...permutation] }, value.quantization);
  }

  cast(value: Value, dtype: DType): Value {
    return value.dtype === dtype ? value : this.emit("cast", [value], { dtype });
  }

  constant(data: TypedArray, dtype: DType, shape: readonly number[]): Value {
    return this.importer.constant(data, dtype, shape);
  }

  /** A number, or numbers, as a constant of a value's type. */
  like(value: Value, numbers: number | readonly number[]): Value {
    return this.importer.numbers(numbers, value.dtype);
  }
}
