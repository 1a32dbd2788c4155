import type { Node, Value } from "../../graph/index.ts";
import type { OpName, TensorQuantization } from "../../ops/index.ts";

/** The integer types that activations can have. */
export type IntegerDomain = "int8" | "int16";
/** What a node computes in. */
export type Domain = "float" | IntegerDomain;

/**
 * What the TensorFlow Lite int8 and 16x8 specifications say of an operator: `weights` (constant symmetric weights and an
 * integer bias; `axis` is the one of the output channels), `own` (the output has a scale of its own), `fixed` (the
 * output's scale is given), `same` (input and output share their scale; `all` operands do, or the first alone),
 * `reads` (quantized inputs, an output that is not).
 */
export type OpRule =
  | { readonly kind: "weights"; readonly axis: number; readonly domains: readonly IntegerDomain[] }
  | { readonly kind: "own" | "reads"; readonly domains: readonly IntegerDomain[] }
  | { readonly kind: "same"; readonly operands: "first" | "all"; readonly domains: readonly IntegerDomain[] }
  | {
      readonly kind: "fixed";
      readonly scales: Readonly<Partial<Record<IntegerDomain, TensorQuantization>>>;
      readonly domains: readonly IntegerDomain[];
    };

const BOTH: readonly IntegerDomain[] = ["int8", "int16"];
const BYTES: readonly IntegerDomain[] = ["int8"];

const weights = (axis: number): OpRule => ({ kind: "weights", axis, domains: BOTH });
const own = (domains: readonly IntegerDomain[] = BOTH): OpRule => ({ kind: "own", domains });
const first: OpRule = { kind: "same", operands: "first", domains: BOTH };
const all: OpRule = { kind: "same", operands: "all", domains: BOTH };

function fixed(int8: TensorQuantization, int16?: TensorQuantization): OpRule {
  return int16 === undefined ? { kind: "fixed", scales: { int8 }, domains: BYTES } : { kind: "fixed", scales: { int8, int16 }, domains: BOTH };
}

const UNIT16: TensorQuantization = { scale: 2 ** -15, zeroPoint: 0 };

/** Operators that are not here have no integer rule: they stay in floating point. */
const RULES: Readonly<Partial<Record<OpName, OpRule>>> = {
  conv2d: weights(0),
  depthwiseConv2d: weights(3),
  fullyConnected: weights(0),
  transposeConv2d: weights(0),
  add: own(),
  sub: own(),
  mul: own(),
  div: own(BYTES),
  squaredDifference: own(BYTES),
  relu: own(),
  relu6: own(),
  reluN1To1: own(),
  leakyRelu: own(),
  prelu: own(BYTES),
  hardSwish: own(BYTES),
  elu: own(BYTES),
  gelu: own(),
  exp: own(),
  log: own(),
  abs: own(),
  rsqrt: own(BYTES),
  batchMatmul: own(),
  mean: own(),
  sum: own(),
  softmax: fixed({ scale: 1 / 256, zeroPoint: -128 }, UNIT16),
  logistic: fixed({ scale: 1 / 256, zeroPoint: -128 }, UNIT16),
  tanh: fixed({ scale: 1 / 128, zeroPoint: 0 }, UNIT16),
  logSoftmax: fixed({ scale: 1 / 16, zeroPoint: 127 }),
  l2Normalization: fixed({ scale: 1 / 128, zeroPoint: 0 }),
  averagePool2d: first,
  maxPool2d: first,
  reshape: first,
  slice: first,
  stridedSlice: first,
  pad: first,
  mirrorPad: first,
  transpose: first,
  tile: first,
  broadcastTo: first,
  spaceToBatch: first,
  batchToSpace: first,
  depthToSpace: first,
  spaceToDepth: first,
  resizeBilinear: first,
  resizeNearest: first,
  reduceMax: first,
  reduceMin: first,
  split: first,
  unpack: first,
  gather: first,
  gatherNd: first,
  concatenation: all,
  pack: all,
  maximum: all,
  minimum: all,
  select: all,
  argMax: { kind: "reads", domains: BYTES },
  argMin: { kind: "reads", domains: BYTES },
};

export function ruleOf(node: Node): OpRule | undefined {
  return Object.hasOwn(RULES, node.op) ? RULES[node.op as OpName] : undefined;
}

export function isFloat(value: Value | null | undefined): value is Value {
  return value?.dtype === "float32";
}

/** Why a node cannot be computed in a domain, or undefined where it can. */
export function obstacle(node: Node, domain: IntegerDomain): string | undefined {
  const rule = ruleOf(node);
  if (![...node.inputs, ...node.outputs].some(isFloat)) return "it has no floating-point tensor";
  if (rule === undefined) return `there is no integer rule for ${node.op}`;
  if (!rule.domains.includes(domain)) return `there is no ${domain} kernel for ${node.op}`;
  if (node.inputs.some((value) => value?.variable === true)) return "it reads or writes a variable";
  if (node.attributes["activation"] === "tanh") return "its fused tanh has no integer kernel";
  if (rule.kind === "weights" && !(isFloat(node.inputs[1]) && node.inputs[1].data !== undefined))
    return "its weights are not floating-point constants";
  if (rule.kind === "weights" && node.inputs[2] && node.inputs[2].data === undefined) return "its bias is not constant";
  if (rule.kind !== "reads" && !node.outputs.every(isFloat)) return "its output is not floating-point";
  return undefined;
}
