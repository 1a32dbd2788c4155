import type { Node } from "../../../graph/index.ts";
import { type Activation, attributesOf } from "../../../ops/index.ts";
import type { AttributeProto } from "../proto.ts";
import { float, int, text } from "./attributes.ts";
import type { NodeWriter } from "./node-writer.ts";
import type { Tensor } from "./parts.ts";
import type { WriteRule, WriteRules } from "./rule.ts";

/** One operator for the same operator, over operands in whatever order of dimensions they come. */
function same(op: string, attributes: (node: Node) => readonly AttributeProto[] = () => []): WriteRule {
  return composed((w, operands, shape) => w.emit(op, operands, shape, attributes(w.node)));
}

/** Several operators that go element by element. */
function composed(write: (w: NodeWriter, operands: readonly Tensor[], shape: readonly number[]) => Tensor, more: Partial<WriteRule> = {}): WriteRule {
  return {
    write(w) {
      const order = w.layout();
      const operands = w.node.inputs.map((_, i) => w.operand(i, order));
      w.give(write(w, operands, w.shape(order)), order);
    },
    ...more,
  };
}

function fused(op: string, more: Partial<WriteRule> = {}): WriteRule {
  return composed((w, operands, shape) => w.activated(w.emit(op, operands, shape), w.attributes<{ activation?: Activation }>().activation), more);
}

const bounded = (activation: Activation): WriteRule => composed((w, [x]) => w.activated(x!, activation));

/** Which of two is larger: truth values are compared as numbers. */
const ordered = (op: string): WriteRule =>
  composed((w, operands, shape) => {
    const numbers = operands.map((operand) => (operand.element === BOOL ? w.cast(operand, "int32") : operand));
    return w.emit(op, numbers, shape);
  });

const isFloat = ({ inputs }: Node): boolean => inputs[0]!.dtype === "float32" || inputs[0]!.quantization !== undefined;

/** Quotients rounded down; ONNX cuts those of integers off. */
function floorDiv(w: NodeWriter, [a, b]: readonly Tensor[], shape: readonly number[]): Tensor {
  if (isFloat(w.node)) return w.emit("Floor", [w.emit("Div", [a!, b!], shape)], shape);
  const rest = w.emit("Mod", [a!, b!], shape);
  return w.emit("Div", [w.emit("Sub", [a!, rest], shape), b!], shape);
}

/** The rest has the divisor's sign; that of floats is found by taking the dividend's sign and mending it. */
function floorMod(w: NodeWriter, [a, b]: readonly Tensor[], shape: readonly number[]): Tensor {
  if (!isFloat(w.node)) return w.emit("Mod", [a!, b!], shape);
  const rest = w.emit("Mod", [a!, b!], shape, [int("fmod", 1)]);
  const opposite = w.emit("Less", [w.emit("Mul", [rest, b!], shape), w.number(0)], shape, [], BOOL);
  return w.emit("Where", [opposite, w.emit("Add", [rest, b!], shape), rest], shape);
}

const BOOL = 9;

function unsigned({ inputs }: Node): string | undefined {
  return inputs[0]!.dtype.startsWith("uint") ? undefined : "ONNX shifts unsigned integers only";
}

const BITWISE_SINCE = 18;

export const ELEMENTWISE: WriteRules = {
  add: fused("Add"),
  sub: fused("Sub"),
  mul: fused("Mul"),
  div: fused("Div"),
  addN: same("Sum"),
  squaredDifference: composed((w, operands, shape) => {
    const difference = w.emit("Sub", operands, shape);
    return w.emit("Mul", [difference, difference], shape);
  }),
  maximum: same("Max"),
  minimum: same("Min"),
  pow: same("Pow"),
  floorDiv: composed(floorDiv),
  floorMod: composed(floorMod),
  equal: same("Equal"),
  notEqual: composed((w, operands, shape) => w.emit("Not", [w.emit("Equal", operands, shape)], shape)),
  less: ordered("Less"),
  lessEqual: ordered("LessOrEqual"),
  greater: ordered("Greater"),
  greaterEqual: ordered("GreaterOrEqual"),
  logicalAnd: same("And"),
  logicalOr: same("Or"),
  logicalNot: same("Not"),
  select: same("Where"),
  bitwiseAnd: { ...same("BitwiseAnd"), since: BITWISE_SINCE },
  bitwiseOr: { ...same("BitwiseOr"), since: BITWISE_SINCE },
  bitwiseXor: { ...same("BitwiseXor"), since: BITWISE_SINCE },
  bitwiseNot: { ...same("BitwiseNot"), since: BITWISE_SINCE },
  shiftLeft: { ...same("BitShift", () => [text("direction", "LEFT")]), obstacle: unsigned },
  shiftRight: { ...same("BitShift", () => [text("direction", "RIGHT")]), obstacle: unsigned },
  relu: bounded("relu"),
  relu6: bounded("relu6"),
  reluN1To1: bounded("reluN1To1"),
  leakyRelu: same("LeakyRelu", (node) => [float("alpha", attributesOf<{ alpha: number }>(node).alpha)]),
  prelu: same("PRelu"),
  hardSwish: { ...same("HardSwish"), since: 14 },
  elu: same("Elu"),
  gelu: {
    ...same("Gelu", (node) => [text("approximate", attributesOf<{ approximate: boolean }>(node).approximate ? "tanh" : "none")]),
    since: 20,
  },
  logistic: same("Sigmoid"),
  tanh: same("Tanh"),
  exp: same("Exp"),
  log: same("Log"),
  sqrt: same("Sqrt"),
  rsqrt: composed((w, operands, shape) => w.emit("Reciprocal", [w.emit("Sqrt", operands, shape)], shape)),
  abs: same("Abs"),
  neg: same("Neg"),
  floor: same("Floor"),
  ceil: same("Ceil"),
  round: same("Round"),
  sin: same("Sin"),
  cos: same("Cos"),
  atan: same("Atan"),
  erf: same("Erf"),
  square: composed((w, [x], shape) => w.emit("Mul", [x!, x!], shape)),
};
