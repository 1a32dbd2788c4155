import { type DType, elementCount, sameShape, type Shape } from "../base/index.ts";
import type { Node, ValueType } from "../graph/index.ts";
import {
  type Buffer,
  constant,
  type Expr,
  f32,
  i32,
  i64,
  type KernelBuilder,
  type KernelInstance,
  type ScalarType,
  type Variable,
} from "../loops/index.ts";
import { isQuantizedType, makeCase, oneType, scalarOf, scaleOf, typed, zeroPointOf } from "./elementwise.ts";
import { reducedMultiplier, requantize, requantize64 } from "./fixed.ts";
import { attributesOf, badNode, inputOf, type OpCase, type OpDef, outputOf, refuse, suffixOf, typeAt } from "./op.ts";
import { type Multiplier, quantizeMultiplier, rangeOfDType } from "./quantization.ts";

export interface ReduceAttributes {
  /** Sorted, not negative, each once. */
  readonly axes: readonly number[];
  readonly keepDims: boolean;
}

/** A run of neighbouring dimensions that are all kept or all reduced. */
interface Run {
  readonly reduced: boolean;
  size: number;
}

function runsOf(shape: Shape, axes: readonly number[]): Run[] {
  const runs: Run[] = [];
  shape.forEach((size, d) => {
    if (size === 1) return;
    const reduced = axes.includes(d);
    const last = runs[runs.length - 1];
    if (last?.reduced === reduced) last.size *= size;
    else runs.push({ reduced, size });
  });
  return runs;
}

/** How many elements each output element stands for. */
function reducedCount(node: Node): number {
  return elementCount(inputOf(node, 0).shape) / elementCount(outputOf(node).shape);
}

/** What a reduction does for one output element. */
interface Reduction {
  readonly start: Expr;
  /** Takes the next element, in memory order. */
  step(acc: Variable, x: Expr): void;
  finish(acc: Expr): Expr;
}

/** Loops over runs with an index of their own step; the innermost calls `body` with the sum of the terms. */
function nest(
  k: KernelBuilder,
  name: string,
  runs: readonly { size: number; step: number; id: number }[],
  base: Expr,
  body: (at: Expr) => void,
): void {
  const [run, ...rest] = runs;
  if (run === undefined) return body(base);
  k.for(`${name}${run.id}`, 0, k.int(`size_${run.id}`, run.size), (i) => {
    const term = run.step === 1 ? i : i.mul(k.int(`step_${run.id}`, run.step));
    nest(k, name, rest, k.let("at", base.add(term)), body);
  });
}

/** Visits every output element in order, and inside it the input elements that it joins. */
function reduceLoops(k: KernelBuilder, node: Node, x: Buffer, y: Buffer, reduction: (k: KernelBuilder) => Reduction): void {
  const runs = runsOf(inputOf(node, 0).shape, attributesOf<ReduceAttributes>(node).axes);
  const placed = runs.map((run, id) => ({ ...run, id, step: elementCount(runs.slice(id + 1).map((r) => r.size)) }));
  const kept = placed.filter((run) => !run.reduced);
  const joined = placed.filter((run) => run.reduced);
  const rule = reduction(k);
  const visit = (depth: number, input: Expr, output: Expr): void => {
    const run = kept[depth];
    if (run === undefined) {
      const acc = k.variable("acc", rule.start);
      nest(k, "r", joined, input, (at) => rule.step(acc, x.load(at)));
      y.store(output, rule.finish(k.let("all", acc.get())));
      return;
    }
    const size = k.int(`size_${run.id}`, run.size);
    k.for(`o${run.id}`, 0, size, (o) => {
      const term = run.step === 1 ? o : o.mul(k.int(`step_${run.id}`, run.step));
      visit(depth + 1, k.let("first", input.add(term)), k.let("to", depth === 0 ? o : output.mul(size).add(o)));
    });
  };
  visit(0, i32(0), i32(0));
}

/** Factor of a mean: input scale / output scale / count, folded as TensorFlow Lite's QuantizedMeanOrSum does. */
export function meanMultiplier(factor: Multiplier, count: number): Multiplier {
  const shift = Math.min(Math.floor(Math.log2(count)), 32, 31 + factor.shift);
  return { multiplier: Number((BigInt(factor.multiplier) << BigInt(shift)) / BigInt(count)), shift: factor.shift - shift };
}

function bounded(node: Node, value: Expr): Expr {
  const { low, high } = rangeOfDType(outputOf(node).dtype);
  return value.clamp(low, high);
}

function quantizedSum(k: KernelBuilder, node: Node, mean: boolean): Reduction {
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  const count = reducedCount(node);
  const plain = quantizeMultiplier(scaleOf(node, x) / scaleOf(node, y));
  const { multiplier, shift } = mean ? meanMultiplier(plain, count) : plain;
  return {
    start: i32(0),
    step: (acc, value) => acc.set(acc.get().wrapAdd(value)),
    finish: (sum) => {
      const centered = k.let("centered", sum.wrapSub(k.int("zero_sum", (zeroPointOf(node, x) * count) | 0)));
      const scaled = k.call(requantize, centered, k.int("multiplier", multiplier), k.int("shift", shift));
      return bounded(node, scaled.add(k.int("zero_point", zeroPointOf(node, y))));
    },
  };
}

function plainSum(k: KernelBuilder, node: Node, mean: boolean): Reduction {
  const type = scalarOf(node, outputOf(node));
  // The mean of 32-bit integers is formed in 64 bits.
  const wide: ScalarType = mean && type === "i32" ? "i64" : type;
  const count = reducedCount(node);
  return {
    start: constant(0, wide),
    step: (acc, x) => acc.set(wide === "f32" ? acc.get().add(x) : acc.get().wrapAdd(x.to(wide))),
    finish: (sum) => {
      if (!mean) return sum;
      return (wide === "f32" ? sum.div(k.float("count", count)) : sum.div(k.int("count", count).to("i64"))).to(type);
    },
  };
}

const LOWEST_FLOAT = -3.4028234663852886e38;

function extreme(node: Node, largest: boolean): Reduction {
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  if (
    isQuantizedType(x.dtype) &&
    (x.quantization?.scales[0] !== y.quantization?.scales[0] || x.quantization?.zeroPoints[0] !== y.quantization?.zeroPoints[0])
  ) {
    throw badNode(node, "must have an input and an output of one scale and zero point");
  }
  const type = scalarOf(node, x);
  const far = largest ? -1 : 1;
  const start =
    type === "f32"
      ? f32(-far * LOWEST_FLOAT)
      : type === "i64"
        ? i64(largest ? -(2n ** 63n) : 2n ** 63n - 1n)
        : i32(largest ? -(2 ** 31) : 2 ** 31 - 1);
  return {
    start,
    step: (acc, value) => {
      const next = value;
      acc.set(largest ? next.max(acc.get()) : next.min(acc.get()));
    },
    finish: (best) => best,
  };
}

/** Every factor but the first rescales by input scale / output scale^(1/count), and once more at the end. */
function quantizedProduct(k: KernelBuilder, node: Node): Reduction {
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  const { multiplier, shift } = quantizeMultiplier(scaleOf(node, x) / scaleOf(node, y) ** (1 / reducedCount(node)));
  const rescale = (value: Expr): Expr => k.call(requantize64, value, k.int("multiplier", reducedMultiplier(multiplier)), k.int("shift", shift));
  // No product is below -2^31 + 1, so that number marks the beginning.
  const none = -(2 ** 31);
  return {
    start: i32(none),
    step: (acc, value) => {
      const centered = k.let("centered", value.add(k.int("offset", -zeroPointOf(node, x))));
      const product = k.let("product", acc.get().to("i64").mul(centered.to("i64")));
      k.if(
        acc.get().eq(none),
        () => acc.set(centered),
        () => acc.set(rescale(product)),
      );
    },
    finish: (product) => bounded(node, rescale(product.to("i64")).add(k.int("zero_point", zeroPointOf(node, y)))),
  };
}

function plainProduct(node: Node): Reduction {
  const type = scalarOf(node, outputOf(node));
  return {
    start: constant(1, type),
    step: (acc, x) => acc.set(type === "f32" ? acc.get().mul(x) : acc.get().wrapMul(x)),
    finish: (product) => product,
  };
}

type Rule = (k: KernelBuilder, node: Node) => Reduction;

function isScaled(node: Node): boolean {
  return isQuantizedType(inputOf(node, 0).dtype);
}

const TYPES: readonly DType[] = ["float32", "int8", "uint8", "int16", "int32", "int64"];

function reducedShape(op: string, x: ValueType, a: ReduceAttributes): number[] {
  const rank = x.shape.length;
  if (a.axes.some((axis) => !Number.isInteger(axis) || axis < 0 || axis >= rank))
    refuse(op, `axes ${a.axes.join(", ")} of an input of ${rank} dimensions`);
  return x.shape.flatMap((dim, d) => (!a.axes.includes(d) ? [dim] : a.keepDims ? [1] : []));
}

function reduceOp(name: string, kernel: string, doc: string, rule: Rule, cases: readonly OpCase[], types = TYPES): OpDef {
  return {
    name,
    infer(inputs, attributes) {
      const x = typeAt(name, inputs, 0);
      return [{ dtype: x.dtype, shape: reducedShape(name, x, attributesOf({ attributes })) }];
    },
    loops(k, node): KernelInstance {
      const dtype = oneType(node, types);
      const a = attributesOf<ReduceAttributes>(node);
      const [x, y] = [inputOf(node, 0), outputOf(node)];
      if (!sameShape(reducedShape(name, x, a), y.shape)) throw badNode(node, `cannot give the shape [${y.shape.join(",")}]`);
      const input = k.input(0, "x");
      const output = k.output(0, "y");
      reduceLoops(k, node, input, output, (builder) => rule(builder, node));
      return k.finish(`${kernel}_${suffixOf(dtype)}`, doc);
    },
    cases,
  };
}

const SHAPE = [2, 3, 4, 5];
const KEPT = { axes: [1, 2], keepDims: true };

function reduceCases(scale: number, outputScale: number, outputZeroPoint: number, range: { low?: number; high?: number } = {}): OpCase[] {
  return [
    makeCase("int8", [typed("int8", SHAPE, scale, 3)], typed("int8", [2, 1, 1, 5], outputScale, outputZeroPoint), KEPT),
    makeCase("int8 of outer axes", [typed("int8", SHAPE, scale, -9)], typed("int8", [3, 5], outputScale, outputZeroPoint - 12), {
      axes: [0, 2],
      keepDims: false,
    }),
    makeCase("uint8", [typed("uint8", SHAPE, scale, 120)], typed("uint8", [2, 3, 4, 1], outputScale, outputZeroPoint + 117), {
      axes: [3],
      keepDims: true,
    }),
    makeCase("int16", [typed("int16", SHAPE, scale / 256)], typed("int16", [2, 5], outputScale / 256), { axes: [1, 2], keepDims: false }),
    ...otherCases(range),
  ];
}

function otherCases(range: { low?: number; high?: number }): OpCase[] {
  return [
    makeCase("int32", [{ ...typed("int32", SHAPE), ...range }], typed("int32", [2, 1, 1, 5]), KEPT),
    makeCase("int64", [{ ...typed("int64", SHAPE), ...range }], typed("int64", []), { axes: [0, 1, 2, 3], keepDims: false }),
    makeCase("float", [typed("float32", SHAPE)], typed("float32", [2, 1, 1, 5]), KEPT),
    makeCase("float, all axes but one", [typed("float32", SHAPE)], typed("float32", [4]), { axes: [0, 1, 3], keepDims: false }),
    makeCase("float, all axes but the channels", [typed("float32", [2, 3, 24])], typed("float32", [1, 1, 24]), { axes: [0, 1], keepDims: true }),
    makeCase("float, no axis", [typed("float32", [3, 4])], typed("float32", [3, 4]), { axes: [], keepDims: false }),
  ];
}

/** Extremes keep the scale, so input and output share it. */
function extremeCases(): OpCase[] {
  return [
    makeCase("int8", [typed("int8", SHAPE, 0.1, 3)], typed("int8", [2, 1, 1, 5], 0.1, 3), KEPT),
    makeCase("uint8", [typed("uint8", SHAPE, 0.1, 3)], typed("uint8", [2, 3, 4], 0.1, 3), { axes: [3], keepDims: false }),
    makeCase("int16", [typed("int16", SHAPE, 0.1)], typed("int16", [3, 5], 0.1), { axes: [0, 2], keepDims: false }),
    ...otherCases({}),
  ];
}

const sumRule =
  (mean: boolean): Rule =>
  (k, node) =>
    (isScaled(node) ? quantizedSum : plainSum)(k, node, mean);
const productRule: Rule = (k, node) => (isScaled(node) ? quantizedProduct(k, node) : plainProduct(node));

export const mean = reduceOp("mean", "mean", "Mean along axes.", sumRule(true), reduceCases(0.1, 0.05, 5));
export const sum = reduceOp("sum", "sum", "Sum along axes.", sumRule(false), reduceCases(0.1, 0.4, 5));
export const reduceMax = reduceOp("reduceMax", "reduce_max", "Largest element along axes.", (_k, node) => extreme(node, true), extremeCases());
export const reduceMin = reduceOp("reduceMin", "reduce_min", "Smallest element along axes.", (_k, node) => extreme(node, false), extremeCases());
export const reduceProd = reduceOp("reduceProd", "reduce_prod", "Product along axes.", productRule, reduceCases(0.015, 0.02, 5, { low: 1, high: 3 }));
