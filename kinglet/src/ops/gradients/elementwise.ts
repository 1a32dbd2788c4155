import type { Node, Value } from "../../graph/index.ts";
import { needsInput } from "../activation-gradient.ts";
import { attributesOf, inputOf, outputOf } from "../op.ts";
import { binary, type GradientContext, type GradientRule, one, realNumbers, scaledBy, sumTo, throughActivation } from "./rule.ts";

/** A binary operator: the gradients of both operands before broadcasting is undone. */
export function ofBinary(rule: (g: GradientContext, node: Node, dz: Value, index: number) => Value): GradientRule {
  return (g, node, [dy]) => {
    const dz = throughActivation(g, node, dy!);
    return [0, 1].map((i) => (g.wanted(i) ? sumTo(g, rule(g, node, dz, i), inputOf(node, i).shape) : null));
  };
}

const negative = (g: GradientContext, x: Value): Value => scaledBy(g, x, -1);

export const add = ofBinary((_g, _node, dz) => dz);
export const sub = ofBinary((g, _node, dz, i) => (i === 0 ? dz : negative(g, dz)));
export const mul = ofBinary((g, node, dz, i) => binary(g, "mul", dz, realNumbers(g, inputOf(node, 1 - i))));

/** d(a / b) = da / b − db · a / b² */
export const div = ofBinary((g, node, dz, i) => {
  const [a, b] = [inputOf(node, 0), inputOf(node, 1)];
  if (i === 0) return binary(g, "div", dz, b);
  return negative(g, binary(g, "div", binary(g, "mul", dz, a), binary(g, "mul", b, b)));
});

export const squaredDifference = ofBinary((g, node, dz, i) => {
  const difference = binary(g, "sub", inputOf(node, i), inputOf(node, 1 - i));
  return scaledBy(g, binary(g, "mul", dz, difference), 2);
});

/** a^b: da = b · a^(b − 1), db = a^b · log a. A negative a has no slope along b; powers of it count as constants there. */
export const pow = ofBinary((g, node, dz, i) => {
  const [a, b] = [inputOf(node, 0), inputOf(node, 1)];
  const number = (value: number): Value => g.constant("number", [1], Float32Array.of(value));
  if (i === 0) return binary(g, "mul", dz, binary(g, "mul", b, one(g, "pow", [a, binary(g, "sub", b, number(1))])));
  const positive = one(g, "greater", [a, number(0)]);
  const logarithm = one(g, "log", [one(g, "select", [positive, a, number(1)])]);
  return binary(g, "mul", dz, binary(g, "mul", outputOf(node), logarithm));
});

export const addN: GradientRule = (_g, node, [dy]) => node.inputs.map(() => dy!);

/** Activations: by their own slope. */
export const activation: GradientRule = (g, node, [dy]) => {
  const reference = realNumbers(g, needsInput(node.op) ? inputOf(node, 0) : outputOf(node));
  const { alpha } = attributesOf<{ alpha?: number }>(node);
  return [one(g, "activationGradient", [dy!, reference], { of: node.op, ...(alpha === undefined ? {} : { alpha }) })];
};

/** dy times a slope that is written with nodes. */
function ofUnary(slope: (g: GradientContext, node: Node) => Value): GradientRule {
  return (g, node, [dy]) => [binary(g, "mul", dy!, slope(g, node))];
}

export const exp = ofUnary((_g, node) => outputOf(node));
export const log: GradientRule = (g, node, [dy]) => [binary(g, "div", dy!, inputOf(node, 0))];
export const sqrt: GradientRule = (g, node, [dy]) => [scaledBy(g, binary(g, "div", dy!, outputOf(node)), 0.5)];
/** d x^(−1/2) = −y³ / 2 */
export const rsqrt = ofUnary((g, node) => {
  const y = outputOf(node);
  return scaledBy(g, binary(g, "mul", binary(g, "mul", y, y), y), -0.5);
});
export const square = ofUnary((g, node) => scaledBy(g, inputOf(node, 0), 2));
export const neg: GradientRule = (g, _node, [dy]) => [negative(g, dy!)];
export const sin = ofUnary((g, node) => one(g, "cos", [inputOf(node, 0)]));
export const cos = ofUnary((g, node) => negative(g, one(g, "sin", [inputOf(node, 0)])));
