import type { DType } from "../../base/index.ts";
import type { Attributes, Node } from "../../graph/index.ts";
import { ADD, CAST, DIV, GELU, LEAKY_RELU, MUL, type OptionTable, SOFTMAX, SUB } from "./options.ts";
import { type OperatorRow, type OperatorRows, row } from "./row.ts";
import type { Site } from "./site.ts";
import { tensorTypeName } from "./tensor-name.ts";

const unary = (op: string): OperatorRow => row(op, "x");
const binary = (op: string): OperatorRow => row(op, "xx");

/** Sums of 16-bit tensors: scales that are no powers of two need the newer kernels, and suit all. */
function sum<O extends { readonly activation: string; readonly potScaleInt16: boolean }>(op: string, options: OptionTable<O>): OperatorRow {
  return row(op, "xx", {
    options,
    read: (_site, { activation }) => ({ activation }),
    write: (node) => ({ options: { potScaleInt16: node.outputs[0]!.dtype !== "int16" } as Partial<O> }),
  });
}

const outputType = (site: Site): Attributes => ({ dtype: tensorTypeName(site.output(0)) });

function softmaxType(site: Site): Attributes {
  return tensorTypeName(site.output(0)) === "int16" && tensorTypeName(site.input(0)) !== "int16" ? { outputType: "int16" } : {};
}

function castTypes(node: Node): { options: { from: DType; to: DType } } {
  return { options: { from: node.inputs[0]!.dtype, to: node.outputs[0]!.dtype } };
}

/** Operators that work element by element, and the softmaxes. */
export const ELEMENTWISE_ROWS: OperatorRows = {
  ADD: sum("add", ADD),
  SUB: sum("sub", SUB),
  MUL: row("mul", "xx", { options: MUL }),
  DIV: row("div", "xx", { options: DIV }),
  MAXIMUM: binary("maximum"),
  MINIMUM: binary("minimum"),
  SQUARED_DIFFERENCE: binary("squaredDifference"),
  POW: binary("pow"),
  FLOOR_DIV: binary("floorDiv"),
  FLOOR_MOD: binary("floorMod"),
  ADD_N: row("addN", "*"),
  RELU: unary("relu"),
  RELU6: unary("relu6"),
  RELU_N1_TO_1: unary("reluN1To1"),
  LEAKY_RELU: row("leakyRelu", "x", { options: LEAKY_RELU }),
  PRELU: binary("prelu"),
  HARD_SWISH: unary("hardSwish"),
  ELU: unary("elu"),
  LOGISTIC: unary("logistic"),
  TANH: unary("tanh"),
  EXP: unary("exp"),
  LOG: unary("log"),
  SQRT: unary("sqrt"),
  RSQRT: unary("rsqrt"),
  ABS: unary("abs"),
  NEG: unary("neg"),
  FLOOR: unary("floor"),
  CEIL: unary("ceil"),
  ROUND: unary("round"),
  SIN: unary("sin"),
  COS: unary("cos"),
  SQUARE: unary("square"),
  GELU: row("gelu", "x", { options: GELU }),
  SOFTMAX: row("softmax", "x", { options: SOFTMAX, read: (site, { beta }) => ({ beta, ...softmaxType(site) }) }),
  LOG_SOFTMAX: unary("logSoftmax"),
  EQUAL: binary("equal"),
  NOT_EQUAL: binary("notEqual"),
  LESS: binary("less"),
  LESS_EQUAL: binary("lessEqual"),
  GREATER: binary("greater"),
  GREATER_EQUAL: binary("greaterEqual"),
  BITWISE_XOR: binary("bitwiseXor"),
  LOGICAL_AND: binary("logicalAnd"),
  LOGICAL_OR: binary("logicalOr"),
  LOGICAL_NOT: unary("logicalNot"),
  SELECT: row("select", "xxx", { write: "never" }),
  SELECT_V2: row("select", "xxx"),
  CAST: row("cast", "x", { options: CAST, read: outputType, write: castTypes }),
  QUANTIZE: row("quantize", "x", { read: outputType, write: (node) => (node.attributes["ties"] === "even" ? null : {}) }),
  DEQUANTIZE: unary("dequantize"),
};
