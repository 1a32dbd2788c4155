import type { DType } from "../base/index.ts";
import type { Node, ValueType } from "../graph/index.ts";
import type { Expr, KernelBuilder, KernelInstance } from "../loops/index.ts";
import {
  binaryLoops,
  binaryTypes,
  broadcastOf,
  eachBroadcast,
  isQuantizedType,
  makeCase,
  scaleOf,
  typed,
  unaryLoops,
  zeroPointOf,
} from "./elementwise.ts";
import { requantize } from "./fixed.ts";
import { inputOf, type OpDef, outputOf, refuse, suffixOf, typeAt, unsupportedTypes } from "./op.ts";
import { quantizeMultiplier } from "./quantization.ts";

type Relation = "eq" | "ne" | "lt" | "le" | "gt" | "ge";

const COMPARABLE: readonly DType[] = ["int8", "uint8", "int16", "int32", "int64", "float32", "bool"];

/** 8 fraction bits are kept when stored numbers are brought to real ones. */
const FRACTION_BITS = 8;

/** The real number behind a stored one, as a whole number of 2^−8 steps, rounded. */
function realOf(k: KernelBuilder, node: Node, index: number, x: Expr): Expr {
  const value = inputOf(node, index);
  const name = index === 0 ? "a" : "b";
  const factor = quantizeMultiplier(scaleOf(node, value));
  const shifted = x.add(k.int(`${name}_offset`, -zeroPointOf(node, value))).shl(FRACTION_BITS);
  return k.call(requantize, shifted, k.int(`${name}_multiplier`, factor.multiplier), k.int(`${name}_shift`, factor.shift));
}

function compareLoops(name: string, relation: Relation): OpDef["loops"] {
  return (k, node) => {
    const [a, b, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
    if (a.dtype !== b.dtype || y.dtype !== "bool" || !COMPARABLE.includes(a.dtype)) throw unsupportedTypes(node);
    const scaled = isQuantizedType(a.dtype) && a.quantization !== undefined && b.quantization !== undefined;
    binaryLoops(k, node, (left, right) => (scaled ? realOf(k, node, 0, left)[relation](realOf(k, node, 1, right)) : left[relation](right)));
    return k.finish(`${name}_${suffixOf(a.dtype)}`, "Comparison element by element, with broadcasting.");
  };
}

function comparison(name: string, kernel: string, relation: Relation): OpDef {
  return {
    name,
    infer: (inputs) => [{ dtype: "bool", shape: broadcastOf(name, binaryTypes(name, inputs)) }],
    loops: compareLoops(kernel, relation),
    cases: [
      makeCase("int8 of two scales", [typed("int8", [40, 3], 0.05, -3), typed("int8", [3], 0.04, 9)], typed("bool", [40, 3])),
      makeCase("uint8", [typed("uint8", [40], 0.5, 100), typed("uint8", [40], 0.5, 100)], typed("bool", [40])),
      makeCase(
        "int32",
        [
          { ...typed("int32", [2, 30]), low: -3, high: 3 },
          { ...typed("int32", [2, 1]), low: -3, high: 3 },
        ],
        typed("bool", [2, 30]),
      ),
      makeCase(
        "int64",
        [
          { ...typed("int64", [2, 30]), low: -3, high: 3 },
          { ...typed("int64", [30]), low: -3, high: 3 },
        ],
        typed("bool", [2, 30]),
      ),
      makeCase("float", [typed("float32", [4, 5]), typed("float32", [1])], typed("bool", [4, 5])),
      makeCase("bool", [typed("bool", [30]), typed("bool", [30])], typed("bool", [30])),
    ],
  };
}

export const equal = comparison("equal", "equal", "eq");
export const notEqual = comparison("notEqual", "not_equal", "ne");
export const less = comparison("less", "less", "lt");
export const lessEqual = comparison("lessEqual", "less_equal", "le");
export const greater = comparison("greater", "greater", "gt");
export const greaterEqual = comparison("greaterEqual", "greater_equal", "ge");

function requireBools(node: Node): void {
  if ([...node.inputs, ...node.outputs].some((value) => value?.dtype !== "bool")) throw unsupportedTypes(node);
}

function logical(name: string, kernel: string, combine: (a: Expr, b: Expr) => Expr): OpDef {
  return {
    name,
    infer: (inputs) => [{ dtype: "bool", shape: broadcastOf(name, binaryTypes(name, inputs)) }],
    loops(k, node) {
      requireBools(node);
      binaryLoops(k, node, (a, b) => combine(a.ne(0), b.ne(0)));
      return k.finish(kernel, "Logic element by element, with broadcasting.");
    },
    cases: [makeCase("broadcast", [typed("bool", [4, 5]), typed("bool", [4, 1])], typed("bool", [4, 5]))],
  };
}

export const logicalAnd = logical("logicalAnd", "logical_and", (a, b) => a.and(b));
export const logicalOr = logical("logicalOr", "logical_or", (a, b) => a.or(b));

export const logicalNot: OpDef = {
  name: "logicalNot",
  infer: (inputs) => [{ dtype: "bool", shape: typeAt("logicalNot", inputs, 0).shape }],
  loops(k, node) {
    requireBools(node);
    unaryLoops(k, node, (x) => x.eq(0));
    return k.finish("logical_not", "Negation element by element.");
  },
  cases: [makeCase("bool", [typed("bool", [3, 7])], typed("bool", [3, 7]))],
};

function selectLoops(k: KernelBuilder, node: Node): KernelInstance {
  const [condition, a, b, y] = [inputOf(node, 0), inputOf(node, 1), inputOf(node, 2), outputOf(node)];
  if (condition.dtype !== "bool" || a.dtype !== y.dtype || b.dtype !== y.dtype) throw unsupportedTypes(node);
  const which = k.input(0, "condition");
  const yes = k.input(1, "a");
  const no = k.input(2, "b");
  const output = k.output(0, "y");
  eachBroadcast(k, y.shape, [condition.shape, a.shape, b.shape], (at, [ic, ia, ib]) =>
    output.store(at, which.load(ic!).ne(0).select(yes.load(ia!), no.load(ib!))),
  );
  return k.finish(`select_${suffixOf(y.dtype)}`, "Takes each element from a where the condition holds, else from b, with broadcasting.");
}

const SELECTABLE: readonly DType[] = ["int8", "uint8", "int16", "int32", "int64", "float32", "bool"];

export const select: OpDef = {
  name: "select",
  infer(inputs) {
    const [condition, a, b] = [typeAt("select", inputs, 0), typeAt("select", inputs, 1), typeAt("select", inputs, 2)];
    if (condition.dtype !== "bool") refuse("select", `the condition must be bool, not ${condition.dtype}`);
    if (a.dtype !== b.dtype) refuse("select", `choices of ${a.dtype} and ${b.dtype}`);
    return [{ dtype: a.dtype, shape: broadcastOf("select", [condition, a, b]) }];
  },
  loops: selectLoops,
  cases: SELECTABLE.map((dtype, i) => {
    const scale = isQuantizedType(dtype) ? 0.05 : undefined;
    const whole: ValueType = typed(dtype, [2, 3, 4], scale);
    const second = i % 2 === 0 ? whole : typed(dtype, [4], scale);
    return makeCase(dtype, [typed("bool", i % 3 === 0 ? [2, 3, 4] : [3, 1]), whole, second], whole);
  }),
};
