import { describe, expect, it } from "vitest";
import { elementCount, stridesOf, type TypedArray, Xorshift32 } from "../base/index.ts";
import type { ValueType } from "../graph/index.ts";
import { evaluate } from "../targets/js/index.ts";
import { caseGraph } from "./case-graph.ts";
import { rangeOfDType } from "./quantization.ts";
import { OPS, type OpName } from "./table.ts";

interface RealAttributes {
  readonly activation?: string;
  readonly alpha?: number;
  readonly approximate?: boolean;
}
type Real = (x: number[], attributes: RealAttributes) => number;

const clamp = (x: number, low: number, high: number): number => Math.max(low, Math.min(high, x));

const BOUNDS: Readonly<Record<string, readonly [number, number]>> = { relu: [0, Infinity], relu6: [0, 6], reluN1To1: [-1, 1] };

const fused =
  (combine: (a: number, b: number) => number): Real =>
  ([a, b], { activation }) =>
    clamp(combine(a!, b!), ...(BOUNDS[activation ?? "none"] ?? [-Infinity, Infinity]));

function erf(x: number): number {
  let sum = 0;
  const steps = 2000;
  for (let i = 0; i < steps; i++) sum += Math.exp(-((((i + 0.5) * x) / steps) ** 2)) / steps;
  return (2 / Math.sqrt(Math.PI)) * x * sum;
}

/** What each operator means on real numbers. */
const REAL: Partial<Record<OpName, Real>> = {
  add: fused((a, b) => a + b),
  sub: fused((a, b) => a - b),
  mul: fused((a, b) => a * b),
  div: (x, attributes) => (x[1] === 0 ? 0 : fused((a, b) => a / b)(x, attributes)),
  squaredDifference: ([a, b]) => (a! - b!) ** 2,
  maximum: ([a, b]) => Math.max(a!, b!),
  minimum: ([a, b]) => Math.min(a!, b!),
  addN: (x) => x.reduce((a, b) => a + b),
  floorDiv: ([a, b]) => (b === 0 ? 0 : Math.floor(a! / b!)),
  floorMod: ([a, b]) => (b === 0 ? 0 : a! - Math.floor(a! / b!) * b!),
  pow: ([a, b]) => (a === 0 && b! < 0 ? 0 : Math.pow(a!, b!)),
  relu: ([x]) => Math.max(0, x!),
  relu6: ([x]) => clamp(x!, 0, 6),
  reluN1To1: ([x]) => clamp(x!, -1, 1),
  leakyRelu: ([x], { alpha }) => (x! >= 0 ? x! : x! * alpha!),
  prelu: ([x, alpha]) => (x! >= 0 ? x! : x! * alpha!),
  hardSwish: ([x]) => (x! * clamp(x! + 3, 0, 6)) / 6,
  elu: ([x]) => (x! >= 0 ? x! : Math.expm1(x!)),
  gelu: ([x], { approximate }) =>
    approximate ? 0.5 * x! * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x! + 0.044715 * x! ** 3))) : 0.5 * x! * (1 + erf(x! * Math.SQRT1_2)),
  logistic: ([x]) => 1 / (1 + Math.exp(-x!)),
  tanh: ([x]) => Math.tanh(x!),
  exp: ([x]) => Math.exp(x!),
  log: ([x]) => (x! <= 0 ? -Infinity : Math.log(x!)),
  sqrt: ([x]) => Math.sqrt(x!),
  rsqrt: ([x]) => (x! <= 0 ? Infinity : 1 / Math.sqrt(x!)),
  abs: ([x]) => Math.abs(x!),
  neg: ([x]) => -x!,
  floor: ([x]) => Math.floor(x!),
  ceil: ([x]) => Math.ceil(x!),
  sin: ([x]) => Math.sin(x!),
  cos: ([x]) => Math.cos(x!),
  square: ([x]) => x! * x!,
  round: ([x]) => (Math.abs(x! % 1) === 0.5 ? 2 * Math.round(x! / 2) : Math.round(x!)),
  logicalAnd: ([a, b]) => Number(a && b),
  logicalOr: ([a, b]) => Number(a || b),
  logicalNot: ([a]) => Number(!a),
  equal: ([a, b]) => Number(a === b),
  notEqual: ([a, b]) => Number(a !== b),
  less: ([a, b]) => Number(a! < b!),
  lessEqual: ([a, b]) => Number(a! <= b!),
  greater: ([a, b]) => Number(a! > b!),
  greaterEqual: ([a, b]) => Number(a! >= b!),
  select: ([c, a, b]) => (c ? a! : b!),
};

function realOf(type: ValueType, stored: number): number {
  const q = type.quantization;
  return q === undefined ? stored : (stored - q.zeroPoints[0]!) * Math.fround(q.scales[0]!);
}

/** The element of an operand that belongs to element `at` of the output. */
function operandIndex(at: number, output: ValueType, operand: ValueType): number {
  const outer = stridesOf(output.shape);
  const inner = stridesOf(operand.shape);
  const skipped = output.shape.length - operand.shape.length;
  return operand.shape.reduce((sum, size, d) => sum + ((Math.floor(at / outer[d + skipped]!) % output.shape[d + skipped]!) % size) * inner[d]!, 0);
}

/** How far a stored result may be from the rounded real one, in steps. */
function tolerance(op: string, type: ValueType): number {
  if (type.quantization === undefined) return 0;
  if (type.dtype !== "int16") return op === "hardSwish" ? 2 : 1;
  // Tables are interpolated over steps of 128; near a kink or a pole that is far off.
  if (op === "logistic" || op === "tanh" || op === "gelu") return 12;
  // Operands of a squared difference are rounded before they are squared.
  if (op === "squaredDifference") return 4;
  return op === "exp" || op === "log" ? Infinity : op === "rsqrt" ? 3 : 1;
}

describe.each(Object.keys(REAL) as OpName[])("%s", (name) => {
  const op = OPS[name] as (typeof OPS)["add"];
  const { graph, inputs } = caseGraph(op, new Xorshift32(7));
  const outputs = evaluate(graph, inputs);
  const contents = (id: number): TypedArray => graph.values[id]!.data ?? inputs[graph.inputs.findIndex((value) => value.id === id)]!;

  it.each(graph.nodes.map((node, i) => [op.cases[i]!.name, node, i] as const))("%s", (_, node, i) => {
    const output: ValueType = node.outputs[0]!;
    const inferred = op.infer(node.inputs, node.attributes)[0]!;
    expect(inferred).toEqual({ dtype: output.dtype, shape: output.shape });
    const range = rangeOfDType(output.dtype);
    const errors: string[] = [];
    for (let at = 0; at < elementCount(output.shape); at++) {
      const operands = node.inputs.map((value) => realOf(value!, Number(contents(value!.id)[operandIndex(at, output, value!)])));
      const real = REAL[name]!(operands, node.attributes as RealAttributes);
      const got = Number(outputs[i]![at]);
      if (output.dtype === "float32") {
        const near = name === "floorDiv" || name === "floorMod" ? Math.abs(operands[0]! / operands[1]!) * 1e-6 : 0;
        // The definitions of gelu and logistic lose digits far below zero; sums and sines where they cancel.
        const sine = name === "gelu" ? 2e-6 : name === "logistic" ? 2e-8 : ["sin", "cos", "add", "sub"].includes(name) ? 3e-7 : 0;
        if (Number.isNaN(real) ? !Number.isNaN(got) : !(Math.abs(got - real) <= Math.abs(real) * 1.2e-6 + sine + near))
          errors.push(`${operands}: ${got} not ${real}`);
        continue;
      }
      const q = output.quantization;
      const expected =
        q === undefined ? Math.trunc(real) : clamp(Math.round(real / Math.fround(q.scales[0]!)) + q.zeroPoints[0]!, range.low, range.high);
      if (!(Math.abs(got - expected) <= tolerance(name, output))) errors.push(`${operands}: ${got} not ${expected}`);
    }
    expect(errors.slice(0, 5)).toEqual([]);
  });
});
