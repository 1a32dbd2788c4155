import type { DType } from "../../base/index.ts";
import type { Table } from "./flatfile.ts";
import type { Field, Fields } from "./flatwriter.ts";
import { OPERATOR, optionTableNumber, TENSOR_TYPES } from "./schema.ts";

/** Where a reader of options complains; each ends in an error. */
interface Complaints {
  fail(message: string): never;
  unsupported(message: string, hint: string): never;
}

/** One field of an option table, read and written by the same description. */
interface OptionField<T> {
  readonly read: (table: Table, field: number, complaints: Complaints) => T;
  /** Undefined for the schema's default, which a file leaves out. */
  readonly write: (value: T) => Field | undefined;
}

/** The options of an operator; the fields stand in the order of the schema, which numbers them. */
export interface OptionTable<O> {
  readonly number: number;
  readonly fields: { readonly [K in keyof O]: OptionField<O[K]> };
}

function optionTable<O>(name: string, fields: { readonly [K in keyof O]: OptionField<O[K]> }): OptionTable<O> {
  return { number: optionTableNumber(name), fields };
}

type AnyField = OptionField<unknown>;

export function readOptions<O>(description: OptionTable<O>, table: Table, complaints: Complaints): O {
  const entries = Object.entries<AnyField>(description.fields as Record<string, AnyField>);
  return Object.fromEntries(entries.map(([name, field], i) => [name, field.read(table, i, complaints)])) as O;
}

/** What an operator's table needs to carry these options; absent ones have their default. */
export function optionFields<O>(description: OptionTable<O>, options: Partial<O>): Fields {
  const fields: Record<number, Field> = {};
  Object.entries<AnyField>(description.fields as Record<string, AnyField>).forEach(([name, field], i) => {
    const value = (options as Record<string, unknown>)[name];
    const written = value === undefined ? undefined : field.write(value);
    if (written !== undefined) fields[i] = written;
  });
  return { [OPERATOR.optionsType]: { byte: description.number }, [OPERATOR.options]: { table: fields } };
}

function int(fallback = 0): OptionField<number> {
  return { read: (table, i) => table.int(i, fallback), write: (value) => (value === fallback ? undefined : { int: value }) };
}

/** A whole number of at least 1; `what` names it in messages. */
function count(what: string, fallback = 0): OptionField<number> {
  return {
    read: (table, i, complaints) => {
      const value = table.int(i, fallback);
      return value >= 1 ? value : complaints.fail(`${what} is ${value}; it must be at least 1`);
    },
    write: int(fallback).write,
  };
}

function flag(fallback = false): OptionField<boolean> {
  return { read: (table, i) => table.bool(i, fallback), write: (value) => (value === fallback ? undefined : { byte: Number(value) }) };
}

const float: OptionField<number> = { read: (table, i) => table.float(i), write: (value) => (Object.is(value, 0) ? undefined : { float: value }) };
const text: OptionField<string> = { read: (table, i) => table.text(i), write: (value) => ({ text: value }) };
const ints: OptionField<readonly number[]> = { read: (table, i) => table.ints(i), write: (value) => ({ ints: value }) };

/** A field of one byte whose values have names, the default first. */
function choice<T extends string>(names: readonly T[], unknown: (code: number, complaints: Complaints) => never): OptionField<T> {
  return {
    read: (table, i, complaints) => {
      const code = table.byte(i);
      return names[code] ?? unknown(code, complaints);
    },
    write: (value) => (value === names[0] ? undefined : { byte: names.indexOf(value) }),
  };
}

const ACTIVATIONS = ["none", "relu", "reluN1To1", "relu6", "tanh"] as const;

const activation = choice(ACTIVATIONS, (code, complaints) =>
  complaints.unsupported(
    `the fused activation ${code === 5 ? "SIGN_BIT" : code} is not supported`,
    "Export the model with the activation as an operator of its own.",
  ),
);

const padding = choice(["SAME", "VALID"] as const, (code, complaints) => complaints.fail(`the padding ${code} is not known`));
export type Padding = "SAME" | "VALID";

const weightsFormat = choice(["default"] as const, (_code, complaints) =>
  complaints.unsupported("the weights are stored shuffled", "Export the model without shuffled weights."),
);

const mirrorMode = choice(["reflect", "symmetric"] as const, (_code, complaints) => complaints.fail("the mirror mode is not known"));

/** The graph has element types on its values; readers leave this field alone. */
const dtype: OptionField<DType | undefined> = {
  read: () => undefined,
  write: (value) => (value === undefined ? undefined : { byte: TENSOR_TYPES.indexOf(value) }),
};

/** A number that the schema has no use for any more. */
const retired: OptionField<undefined> = { read: () => undefined, write: () => undefined };

const strides = { strideW: count("the horizontal stride"), strideH: count("the vertical stride") };
const dilations = { dilationW: count("the horizontal dilation", 1), dilationH: count("the vertical dilation", 1) };

export const CONV_2D = optionTable("Conv2D", { padding, ...strides, activation, ...dilations });
export const DEPTHWISE_CONV_2D = optionTable("DepthwiseConv2D", { padding, ...strides, depthMultiplier: int(), activation, ...dilations });
export const TRANSPOSE_CONV = optionTable("TransposeConv", { padding, ...strides, activation });
export const POOL_2D = optionTable("Pool2D", {
  padding,
  ...strides,
  filterW: count("the pooling width"),
  filterH: count("the pooling height"),
  activation,
});
/** Floats that meet 8-bit weights are quantized over their whole range; an attribute only where it is so. */
const asymmetric = { asymmetricQuantizeInputs: flag() };
export const FULLY_CONNECTED = optionTable("FullyConnected", { activation, weightsFormat, keepDims: flag(), ...asymmetric });
export const BATCH_MATMUL = optionTable("BatchMatMul", { adjX: flag(), adjY: flag(), ...asymmetric });

/** The last field of sums: whether scales of 16-bit tensors are powers of two. */
export const ADD = optionTable("Add", { activation, potScaleInt16: flag(true) });
export const SUB = optionTable("Sub", { activation, potScaleInt16: flag(true) });
export const MUL = optionTable("Mul", { activation });
export const DIV = optionTable("Div", { activation });
export const LEAKY_RELU = optionTable("LeakyRelu", { alpha: float });
export const GELU = optionTable("Gelu", { approximate: flag() });
export const SOFTMAX = optionTable("Softmax", { beta: float });
export const CAST = optionTable("Cast", { from: dtype, to: dtype });

export const CONCATENATION = optionTable("Concatenation", { axis: int(), activation });
export const SPLIT = optionTable("Split", { parts: int() });
export const SPLIT_V = optionTable("SplitV", { parts: int() });
export const STRIDED_SLICE = optionTable("StridedSlice", {
  beginMask: int(),
  endMask: int(),
  ellipsisMask: int(),
  newAxisMask: int(),
  shrinkMask: int(),
  fromBegin: flag(),
});
export const PACK = optionTable("Pack", { parts: int(), axis: int() });
export const UNPACK = optionTable("Unpack", { parts: int(), axis: int() });
export const MIRROR_PAD = optionTable("MirrorPad", { mode: mirrorMode });
export const RESHAPE = optionTable("Reshape", { newShape: ints });
export const GATHER = optionTable("Gather", { axis: int(), batchDims: int() });
export const DEPTH_TO_SPACE = optionTable("DepthToSpace", { block: count("the block size") });
export const SPACE_TO_DEPTH = optionTable("SpaceToDepth", { block: count("the block size") });
export const RESIZE_BILINEAR = optionTable("ResizeBilinear", { height: retired, width: retired, alignCorners: flag(), halfPixelCenters: flag() });
export const RESIZE_NEAREST = optionTable("ResizeNearestNeighbor", { alignCorners: flag(), halfPixelCenters: flag() });

export const REDUCER = optionTable("Reducer", { keepDims: flag() });
export const ARG_MAX = optionTable("ArgMax", { type: dtype });
export const ARG_MIN = optionTable("ArgMin", { type: dtype });
export const CUMSUM = optionTable("Cumsum", { exclusive: flag(), reverse: flag() });
export const L2_NORM = optionTable("L2Norm", { activation });

export const SVDF = optionTable("SVDF", { rank: count("the rank"), activation, ...asymmetric });
export const LSTM = optionTable("UnidirectionalSequenceLSTM", {
  activation,
  cellClip: float,
  projClip: float,
  timeMajor: flag(),
  ...asymmetric,
  diagonalRecurrent: flag(),
});

export const VAR_HANDLE = optionTable("VarHandle", { container: text, sharedName: text });
export const CALL_ONCE = optionTable("CallOnce", { subgraph: int() });
