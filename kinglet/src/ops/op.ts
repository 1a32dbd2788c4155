import { type DType, KingletError, type Shape } from "../base/index.ts";
import type { Attributes, Node, Quantization, Value, ValueType } from "../graph/index.ts";
import { type Border, type KernelBuilder, type KernelInstance, type Layout, type MemoryType, memoryTypeOf } from "../loops/index.ts";

/** What a shape rule answers for each output. */
export interface InferredType {
  readonly dtype: DType;
  readonly shape: Shape;
  /** What stored numbers stand for, where the operator only moves them; a node's output may say otherwise. */
  readonly quantization?: Quantization | undefined;
}

/** One example for the conformance matrix: contents are seeded random numbers of each value's type. */
export interface OpCase {
  readonly name: string;
  readonly inputs: readonly (CaseInput | null)[];
  readonly outputs: readonly ValueType[];
  readonly attributes: Attributes;
}

export interface CaseInput extends ValueType {
  /** A constant of the network (weights, tables) instead of an input of it. */
  readonly constant?: boolean;
  readonly variable?: boolean;
  /** Integers or floats are drawn from here; the default is the dtype's whole range, floats from -2…2. */
  readonly low?: number;
  readonly high?: number;
  /** Instead of random numbers, for tables that must mean something. */
  readonly contents?: readonly number[];
}

/** One operator: everything Kinglet knows of it, in one place. */
export interface OpDef {
  readonly name: string;
  /**
   * The types of the outputs.
   * @throws KingletError `bad-graph` where the inputs do not fit the operator.
   */
  infer(inputs: readonly (ValueType | null)[], attributes: Attributes): InferredType[];
  /**
   * The plain loop nest: it is the operator's definition on every back end.
   * @throws KingletError `unsupported` for element types that the operator has no rule for.
   */
  loops(k: KernelBuilder, node: Node): KernelInstance;
  /** Multiply-accumulates of one run; 0 where absent. */
  macs?(node: Node): number;
  /**
   * The inputs that are parameters of a network where they are constants: weights, biases, scales. Other constants (running
   * statistics, shapes, tables) are not. None where absent.
   */
  readonly parameters?: readonly number[];
  /** True where output 0 is input 0 under another shape: no code, no bytes of its own. */
  readonly alias?: boolean;
  readonly cases: readonly OpCase[];
}

/** The order in which a kernel visits its output pixels: an in-place layer moves its map towards where it started. */
export type Walk = "forward" | "backward";

/** What a kernel wants around and after an input that it reads in a layout of its own (see `Layout`). */
export interface LayoutWish {
  readonly border: Border;
  readonly tail: number;
  /** Bytes stay bytes, as numbers from 0 to 255, instead of being centred. */
  readonly unsigned?: boolean;
  /** The border must be this one, not a larger one. */
  readonly exact?: boolean;
}

/** The layouts of a node's values, in its order; null for an absent input. */
export interface NodeLayouts {
  readonly inputs: readonly (Layout | null)[];
  readonly outputs: readonly Layout[];
}

/** A kernel of a target. It reads and writes plain layouts where it does not say otherwise. */
export interface Kernel {
  (k: KernelBuilder, layouts: NodeLayouts): KernelInstance;
  /** For each input, the layout to read it in; undefined for the plain one. */
  readonly reads?: readonly (LayoutWish | undefined)[];
  /** The kernel can write output 0 in any layout. */
  readonly writesAny?: boolean;
}

/**
 * A faster way to run one node on some machine, or undefined where the plain loops are to be used. `room` is how many bytes
 * its working memory, and an output that cannot lie over its input, may add to what the node needs at least.
 */
export type Schedule = (node: Node, walk?: Walk, room?: number) => Kernel | undefined;
export type Schedules = Readonly<Partial<Record<string, Schedule>>>;

/** A node's attributes under their operator's own type. */
export function attributesOf<A>(node: { readonly attributes: Attributes }): A {
  return node.attributes as unknown as A;
}

/** The node's input, which must be there. */
export function inputOf(node: Node, index: number): Value {
  const value = node.inputs[index];
  if (value === undefined || value === null) throw badNode(node, `needs input ${index}`);
  return value;
}

export function outputOf(node: Node, index = 0): Value {
  const value = node.outputs[index];
  if (value === undefined) throw badNode(node, `needs output ${index}`);
  return value;
}

export function badNode(node: Node, what: string): KingletError {
  return new KingletError("bad-graph", `the ${node.op} node "${node.name}" ${what}`);
}

/** The error for element types that an operator has no rule for. */
export function unsupportedTypes(node: Node): KingletError {
  const types = [...node.inputs, ...node.outputs].map((value) => value?.dtype ?? "none").join(", ");
  return new KingletError("unsupported", `${node.op} has no rule for the element types ${types} (node "${node.name}")`);
}

/** @throws KingletError `bad-graph` from a shape rule. */
export function refuse(op: string, what: string): never {
  throw new KingletError("bad-graph", `${op}: ${what}`);
}

/** A shape rule's input, which must be there and may have to have a given rank. */
export function typeAt(op: string, inputs: readonly (ValueType | null)[], index: number, rank?: number): ValueType {
  const type = inputs[index];
  if (type === undefined || type === null) refuse(op, `input ${index} is missing`);
  if (rank !== undefined && type.shape.length !== rank) refuse(op, `input ${index} must have ${rank} dimensions, not [${type.shape.join(",")}]`);
  return type;
}

/** How the loop language sees a value. */
export function memoryOf(node: Node, value: ValueType): MemoryType {
  const type = memoryTypeOf(value.dtype);
  if (type === undefined) throw unsupportedTypes(node);
  return type;
}

/** Kernel-name suffixes in the field's habit: s8, u8, s16, s32, f32. */
export function suffixOf(dtype: DType): string {
  const names: Partial<Record<DType, string>> = {
    int8: "s8",
    uint8: "u8",
    int16: "s16",
    int32: "s32",
    int64: "s64",
    float32: "f32",
    bool: "bool",
    uint16: "u16",
    uint32: "u32",
    uint64: "u64",
  };
  return names[dtype] ?? dtype;
}
