import { elementCount } from "../../base/index.ts";
import type { Value } from "../../graph/index.ts";
import { inputOf, outputOf } from "../op.ts";
import { ofBinary } from "./elementwise.ts";
import { spread } from "./movement.ts";
import { binary, type GradientContext, type GradientRule, one, sumTo } from "./rule.ts";

type Relation = "equal" | "less" | "lessEqual" | "greater" | "greaterEqual";

function filled(g: GradientContext, x: Value, value: number): Value {
  return g.constant(value === 0 ? "zeros" : "ones", x.shape, new Float32Array(elementCount(x.shape)).fill(value));
}

/** `kept` where a relation holds, else 0. */
function where(g: GradientContext, a: Value, relation: Relation, b: Value, kept: Value): Value {
  return one(g, "select", [one(g, relation, [a, b]), kept, filled(g, kept, 0)]);
}

/** The operand that won has the gradient; of two that are equal it is the first. */
const ofExtreme = (first: Relation, second: Relation): GradientRule =>
  ofBinary((g, node, dz, i) => where(g, inputOf(node, 0), i === 0 ? first : second, inputOf(node, 1), dz));

export const maximum = ofExtreme("greaterEqual", "less");
export const minimum = ofExtreme("lessEqual", "greater");

/** All elements that are the extreme one share its gradient. */
export const reduceExtreme: GradientRule = (g, node, [dy]) => {
  const x = inputOf(node, 0);
  const winners = where(g, x, "equal", spread(g, node, outputOf(node)), filled(g, x, 1));
  const count = one(g, "sum", [winners], node.attributes);
  return [binary(g, "mul", winners, spread(g, node, binary(g, "div", dy!, count)))];
};

/** The product of all other elements: where none of those is 0, that of all that are not 0, without the element itself. */
export const reduceProd: GradientRule = (g, node, [dy]) => {
  const x = inputOf(node, 0);
  const zero = filled(g, x, 0);
  const zeros = where(g, x, "equal", zero, filled(g, x, 1));
  // x with its zeros as ones
  const factors = binary(g, "add", x, zeros);
  const others = binary(g, "sub", spread(g, node, one(g, "sum", [zeros], node.attributes)), zeros);
  const products = binary(g, "div", spread(g, node, one(g, "reduceProd", [factors], node.attributes)), factors);
  return [where(g, others, "equal", zero, binary(g, "mul", spread(g, node, dy!), products))];
};

export const select: GradientRule = (g, node, [dy]) => {
  const [condition, a, b] = [0, 1, 2].map((i) => inputOf(node, i)) as [Value, Value, Value];
  const zeros = filled(g, dy!, 0);
  const chosen = (yes: Value, no: Value, shape: Value["shape"]): Value => sumTo(g, one(g, "select", [condition, yes, no]), shape);
  return [null, g.wanted(1) ? chosen(dy!, zeros, a.shape) : null, g.wanted(2) ? chosen(zeros, dy!, b.shape) : null];
};

export const prelu: GradientRule = (g, node, [dy]) => {
  const [x, alpha] = [inputOf(node, 0), inputOf(node, 1)];
  const zero = g.constant("zero", [1], new Float32Array(1));
  const dx = (): Value => one(g, "select", [one(g, "greaterEqual", [x, zero]), dy!, binary(g, "mul", dy!, alpha)]);
  const dAlpha = (): Value => sumTo(g, binary(g, "mul", dy!, one(g, "minimum", [x, zero])), alpha.shape);
  return [g.wanted(0) ? dx() : null, g.wanted(1) ? dAlpha() : null];
};
