import {
  bytesOf,
  identityPermutation,
  isIdentity,
  keepsOrder,
  type Permutation,
  permuteData,
  permuted,
  type TypedArray,
} from "../../../base/index.ts";
import type { Graph, Node, Quantization, Value } from "../../../graph/index.ts";
import { attributesOf } from "../../../ops/index.ts";
import { elementCode } from "../elements.ts";
import { int, ints } from "./attributes.ts";
import { packNibbles, type Parts, type Tensor } from "./parts.ts";

/** A value as the transpose of another: value = transpose(root, permutation). */
interface View {
  readonly root: Value;
  readonly permutation: Permutation;
}

/** Stored as it is, or the real numbers behind integers. */
type Kind = "stored" | "real";

const FLOAT = elementCode("float32");
const INT4 = 22;
/** The first operator set with 16-bit and 4-bit integers behind DequantizeLinear. */
export const NARROW_AND_WIDE = 21;

const QUANTIZED = new Set(["int8", "uint8", "int16", "int32", "int64"]);

/** Whether a value's integers stand for real numbers; numbers of 32 bits do so only as constants (biases). */
export function isQuantized({ dtype, quantization, data }: Value): boolean {
  return quantization !== undefined && QUANTIZED.has(dtype) && (data !== undefined || dtype.endsWith("8") || dtype === "int16");
}

/**
 * Which tensors of the file hold a value's numbers, and in which orders of dimensions. Transposes of the graph are no nodes here but
 * views: one is written only where somebody wants an order that is not there yet.
 */
export class Values {
  private readonly parts: Parts;
  private readonly opset: number;
  private readonly views = new Map<number, View>();
  /** Tensors of a root by kind and permutation: tensor = transpose(root, permutation). */
  private readonly tensors = new Map<number, Map<string, { tensor: Tensor; permutation: Permutation }>>();
  /** What a root's transposes are called in the graph. */
  private readonly names = new Map<string, string>();

  constructor(graph: Graph, parts: Parts, opset: number) {
    this.parts = parts;
    this.opset = opset;
    for (const value of graph.values) this.names.set(this.nameKey(value), value.name);
    for (const node of graph.nodes) if (node.op === "transpose") this.view(node);
  }

  private nameKey(value: Value): string {
    const { root, permutation } = this.rootOf(value);
    return `${root.id} ${permutation.join()}`;
  }

  private view(node: Node): void {
    const [x, y] = [node.inputs[0]!, node.outputs[0]!];
    const before = this.rootOf(x);
    const { permutation } = attributesOf<{ permutation: number[] }>(node);
    this.views.set(y.id, { root: before.root, permutation: permuted(before.permutation, permutation) });
    const key = this.nameKey(y);
    if (!this.names.has(key)) this.names.set(key, y.name);
  }

  private rootOf(value: Value): View {
    return this.views.get(value.id) ?? { root: value, permutation: identityPermutation(value.shape.length) };
  }

  /** The known tensors of a value, the first made first. */
  private known(value: Value): Map<string, { tensor: Tensor; permutation: Permutation }> {
    const { id } = this.rootOf(value).root;
    const found = this.tensors.get(id) ?? new Map();
    this.tensors.set(id, found);
    return found;
  }

  /** Says that tensor = transpose(value, permutation). */
  set(value: Value, permutation: Permutation, kind: Kind, tensor: Tensor): void {
    const { root, permutation: own } = this.rootOf(value);
    const whole = permuted(own, permutation);
    const key = `${kind} ${whole.join()}`;
    const known = this.known(value);
    if (!known.has(key)) known.set(key, { tensor, permutation: whole });
    const name = this.names.get(`${root.id} ${whole.join()}`) ?? root.name;
    if (tensor.wish === "") tensor.wish = kind === "real" && isQuantized(root) ? `${name}_real` : name;
  }

  /** The order in which a value's numbers were first written; its own where they were not yet. */
  firstPermutation(value: Value): Permutation {
    const { permutation: own } = this.rootOf(value);
    const first = this.known(value).values().next().value;
    // The first is transpose(root, first), and the value transpose(root, own): first = own then what is looked for.
    return first === undefined ? identityPermutation(own.length) : first.permutation.map((d) => own.indexOf(d));
  }

  /** Whether a value's numbers are at hand in an order. */
  has(value: Value, permutation: Permutation): boolean {
    const whole = permuted(this.rootOf(value).permutation, permutation).join();
    return this.known(value).has(`stored ${whole}`) || this.known(value).has(`real ${whole}`);
  }

  /** The tensor that holds transpose(value, permutation) as it is stored. */
  stored(value: Value, permutation: Permutation = identityPermutation(value.shape.length)): Tensor {
    const whole = permuted(this.rootOf(value).permutation, permutation);
    const known = this.known(value);
    const found = known.get(`stored ${whole.join()}`);
    if (found !== undefined) return found.tensor;
    const made = value.data === undefined ? this.transposed(value, whole, known) : this.constant(value, permutation);
    this.set(value, permutation, "stored", made);
    return made;
  }

  private transposed(value: Value, whole: Permutation, known: ReadonlyMap<string, { tensor: Tensor; permutation: Permutation }>): Tensor {
    const from = [...known].find(([key]) => key.startsWith("stored"))?.[1];
    if (from === undefined) throw new TypeError(`"${value.name}" is read before anything has produced it`);
    const step = whole.map((d) => from.permutation.indexOf(d));
    const shape = permuted(from.tensor.shape, step);
    const output = { element: from.tensor.element, shape };
    return this.parts.node("Transpose", `${value.name}_layout`, [from.tensor], [output], [ints("perm", step)])[0]!;
  }

  /** The elements of a value one after the other: in its own order, or in one that comes to the same. */
  inOrder(value: Value, kind: Kind): Tensor {
    const { permutation: own } = this.rootOf(value);
    const orders = [...this.known(value).values()].map(({ permutation }) => permutation.map((d) => own.indexOf(d)));
    const order = orders.find(isIdentity) ?? orders.find((each) => keepsOrder(value.shape, each));
    return kind === "real" ? this.real(value, order) : this.stored(value, order);
  }

  /** The tensor that holds the real numbers of transpose(value, permutation): dequantized where they are stored as integers. */
  real(value: Value, permutation: Permutation = identityPermutation(value.shape.length), given?: Quantization): Tensor {
    const quantization = given ?? value.quantization;
    if (given === undefined && !isQuantized(value)) return this.stored(value, permutation);
    const whole = permuted(this.rootOf(value).permutation, permutation);
    const found = this.known(value).get(`real ${whole.join()}`);
    if (found !== undefined) return found.tensor;
    const real = this.dequantized(value, permutation, quantization!);
    this.set(value, permutation, "real", real);
    return real;
  }

  private dequantized(value: Value, permutation: Permutation, quantization: Quantization): Tensor {
    const stored = value.dtype === "int64" ? this.narrowed(value) : this.stored(value, permutation);
    if (stored === null) return this.floats(value, quantization);
    const output = { element: FLOAT, shape: stored.shape };
    const inputs = [stored, ...this.scaleOf(value, quantization, stored)];
    return this.parts.node("DequantizeLinear", `${value.name}_dequantize`, inputs, [output], axisOf(quantization, permutation))[0]!;
  }

  /** Numbers of 64 bits in 32, or null where they do not fit. */
  private narrowed(value: Value): Tensor | null {
    const numbers = Array.from<number | bigint, number>(value.data!, Number);
    if (numbers.some((number) => number !== (number | 0))) return null;
    return this.parts.initializer(value.name, elementCode("int32"), value.shape, bytesOf(Int32Array.from(numbers)));
  }

  private floats({ name, data, shape }: Value, { scales }: Quantization): Tensor {
    const numbers = Float32Array.from(Array.from<number | bigint, number>(data!, Number), (number, i) => number * scales[scales.length > 1 ? i : 0]!);
    return this.parts.initializer(name, FLOAT, shape, bytesOf(numbers));
  }

  /** Scale and zero point as inputs; biases have no zero point. */
  scaleOf(value: Value, { scales, zeroPoints }: Quantization, stored: Pick<Tensor, "element">): Tensor[] {
    const one = scales.length === 1;
    const scale = this.parts.numbers("float32", one ? scales[0]! : scales, `${value.name}_scale`);
    if (value.dtype === "int32" || value.dtype === "int64") return [scale];
    const zeros = one ? zeroPoints[0]! : zeroPoints;
    if (stored.element === INT4) return [scale, this.nibbles(`${value.name}_zero_point`, one ? [] : [scales.length], Int8Array.from([zeros].flat()))];
    return [scale, this.parts.numbers(value.dtype, zeros, `${value.name}_zero_point`)];
  }

  /** The stored integers of a real tensor. */
  quantized(value: Value, real: Tensor, permutation: Permutation): Tensor {
    const quantization = value.quantization!;
    const output = { element: elementCode(value.dtype), shape: real.shape };
    const inputs = [real, ...this.scaleOf(value, quantization, output)];
    return this.parts.node("QuantizeLinear", `${value.name}_quantize`, inputs, [output], axisOf(quantization, permutation))[0]!;
  }

  private constant(value: Value, permutation: Permutation): Tensor {
    const data = isIdentity(permutation) ? value.data! : permuteData(value.data!, value.shape, permutation);
    const shape = permuted(value.shape, permutation);
    if (this.opset >= NARROW_AND_WIDE && value.quantization !== undefined && value.dtype === "int8" && data.length > 1 && fitsFourBits(data))
      return this.nibbles(value.name, shape, data);
    return this.parts.initializer(value.name, elementCode(value.dtype), shape, bytesOf(data));
  }

  private nibbles(name: string, shape: readonly number[], data: TypedArray): Tensor {
    return this.parts.initializer(name, INT4, shape, packNibbles(data));
  }
}

function fitsFourBits(data: TypedArray): boolean {
  return Array.from<number | bigint, number>(data, Number).every((number) => number >= -8 && number <= 7);
}

function axisOf({ scales, axis }: Quantization, permutation: Permutation): ReturnType<typeof int>[] {
  return scales.length === 1 ? [] : [int("axis", permutation.indexOf(axis))];
}
