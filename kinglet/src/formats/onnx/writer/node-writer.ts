import { type DType, elementCount, identityPermutation, isIdentity, type Permutation, permuteData, permuted } from "../../../base/index.ts";
import type { Node, Quantization, Value } from "../../../graph/index.ts";
import { type Activation, attributesOf, inputOf, outputOf } from "../../../ops/index.ts";
import { elementCode } from "../elements.ts";
import type { AttributeProto } from "../proto.ts";
import { int, ints } from "./attributes.ts";
import type { Parts, Tensor } from "./parts.ts";
import { isQuantized, type Values } from "./values.ts";

/** What the writing of one file has to do with, whatever the node. */
export interface Writing {
  readonly parts: Parts;
  readonly values: Values;
  readonly opset: number;
  /** The node that made a value. */
  readonly makers: ReadonlyMap<Value, Node>;
  /** Whether operators that do not care about the order of dimensions take their inputs' order over. */
  readonly carries: boolean;
}

/** One node of the graph on its way into the file: what a rule reads from, and writes with. */
export class NodeWriter {
  readonly node: Node;
  readonly opset: number;
  readonly parts: Parts;
  private readonly values: Values;
  private readonly makers: ReadonlyMap<Value, Node>;
  private readonly carries: boolean;
  private written = 0;

  constructor(node: Node, { parts, values, opset, makers, carries }: Writing) {
    this.node = node;
    this.parts = parts;
    this.values = values;
    this.opset = opset;
    this.makers = makers;
    this.carries = carries;
  }

  attributes<A>(): A {
    return attributesOf<A>(this.node);
  }

  input(index: number): Value {
    return inputOf(this.node, index);
  }

  optional(index: number): Value | null {
    return this.node.inputs[index] ?? null;
  }

  output(index = 0): Value {
    return outputOf(this.node, index);
  }

  /** The node of one operator that made a value. */
  madeBy(value: Value | null | undefined, op: string): Node | undefined {
    const maker = value ? this.makers.get(value) : undefined;
    return maker?.op === op ? maker : undefined;
  }

  // Inputs

  /** The numbers of an input, dequantized if need be, with its dimensions in this order. */
  real(index: number, permutation?: Permutation, quantization?: Quantization): Tensor {
    return this.values.real(this.input(index), permutation, quantization);
  }

  /** An input as it is stored. */
  stored(index: number, permutation?: Permutation): Tensor {
    return this.values.stored(this.input(index), permutation);
  }

  /** Another value as it is stored. */
  storedValue(value: Value): Tensor {
    return this.values.stored(value);
  }

  /** The elements of an input one after the other, whatever order of dimensions that is written as. */
  inOrder(index: number, kind: "real" | "stored" = "real"): Tensor {
    return this.values.inOrder(this.input(index), kind);
  }

  /** Contents of an input that is a constant. */
  data(index: number): number[] | undefined {
    const { data } = this.input(index);
    return data === undefined ? undefined : Array.from<number | bigint, number>(data, Number);
  }

  /** The order of dimensions in which most inputs of the result's rank lie. */
  layout(): Permutation {
    const rank = this.output().shape.length;
    const own = identityPermutation(rank);
    if (!this.carries) return own;
    const open = this.node.inputs.filter((value): value is Value => value !== null && value.data === undefined && elementCount(value.shape) > 1);
    const orders = open.map((value) => this.values.firstPermutation(value));
    const other = orders.find((order) => order.length === rank && !isIdentity(order));
    if (other === undefined) return own;
    const fits = open.filter((value) => value.shape.length === rank && this.values.has(value, other)).length;
    return 2 * fits >= open.length ? other : own;
  }

  /** The order of dimensions of the first input, for operators that name dimensions. */
  inputLayout(): Permutation {
    return this.carries ? this.values.firstPermutation(this.input(0)) : identityPermutation(this.input(0).shape.length);
  }

  /** An input that broadcasts over a result in this order. */
  operand(index: number, permutation: Permutation): Tensor {
    const value = this.input(index);
    const rank = permutation.length;
    if (isIdentity(permutation)) return this.real(index);
    if (value.shape.length === rank) return this.real(index, permutation);
    if (elementCount(value.shape) === 1) return this.inOrder(index);
    const long = [...new Array<number>(rank - value.shape.length).fill(1), ...value.shape];
    if (value.data !== undefined && !isQuantized(value))
      return this.parts.constant(value.name, value.dtype, permuted(long, permutation), permuteData(value.data, long, permutation));
    const whole = this.reshape(this.real(index), long);
    return this.emit("Transpose", [whole], permuted(long, permutation), [ints("perm", permutation)]);
  }

  // Writing

  /** The element type that the result is computed in. */
  get element(): number {
    const value = this.output();
    return elementCode(isQuantized(value) ? "float32" : value.dtype);
  }

  /** The shape of a result in an order of dimensions. */
  shape(permutation?: Permutation, index = 0): readonly number[] {
    const { shape } = this.output(index);
    return permutation === undefined ? shape : permuted(shape, permutation);
  }

  /** Adds an operator with one result, of the type that the node's own result has if no other is given. */
  emit(
    op: string,
    inputs: readonly (Tensor | null)[],
    shape: readonly number[] = this.shape(),
    attributes: readonly AttributeProto[] = [],
    element: number = this.element,
  ): Tensor {
    return this.emitAll(op, inputs, [{ element, shape }], attributes)[0]!;
  }

  emitAll(
    op: string,
    inputs: readonly (Tensor | null)[],
    outputs: readonly Pick<Tensor, "element" | "shape">[],
    attributes: readonly AttributeProto[] = [],
  ): Tensor[] {
    const name = this.written++ === 0 ? this.node.name : `${this.node.name}_${op}`;
    return this.parts.node(op, name, inputs, outputs, attributes);
  }

  reshape(x: Tensor, shape: readonly number[]): Tensor {
    return this.emit("Reshape", [x, this.longs(shape)], shape, [], x.element);
  }

  cast(x: Tensor, dtype: DType): Tensor {
    const element = elementCode(dtype);
    return x.element === element ? x : this.emit("Cast", [x], x.shape, [int("to", element)], element);
  }

  longs(values: readonly number[]): Tensor {
    return this.parts.numbers("int64", values);
  }

  /** A number of the type that the result is computed in. */
  number(value: number): Tensor {
    const { dtype } = this.output();
    return this.parts.numbers(isQuantized(this.output()) ? "float32" : dtype, value);
  }

  /** What an operator does with its sums before it stores them; nothing where it does not say. */
  activated(x: Tensor, activation: Activation = "none"): Tensor {
    if (activation === "none") return x;
    if (activation === "relu" && x.element === elementCode("float32")) return this.emit("Relu", [x], x.shape);
    if (activation === "tanh") return this.emit("Tanh", [x], x.shape);
    const [low, high] = BOUNDS[activation];
    return this.emit("Clip", [x, this.number(low), high === Infinity ? null : this.number(high)], x.shape);
  }

  /** Says that a tensor is a result of the node, with its dimensions in this order: it is quantized where the value is. */
  give(real: Tensor, permutation: Permutation = identityPermutation(real.shape.length), index = 0): void {
    const value = this.output(index);
    if (isQuantized(value)) this.values.set(value, permutation, "stored", this.values.quantized(value, real, permutation));
    else this.values.set(value, permutation, "stored", real);
  }

  /** The same for what is stored already. */
  giveStored(tensor: Tensor, permutation: Permutation = identityPermutation(tensor.shape.length), index = 0): void {
    this.values.set(this.output(index), permutation, "stored", tensor);
  }
}

const BOUNDS = { relu: [0, Infinity], relu6: [0, 6], reluN1To1: [-1, 1] } as const;
