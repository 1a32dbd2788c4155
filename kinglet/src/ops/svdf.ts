import { elementCount } from "../base/index.ts";
import type { Node } from "../graph/index.ts";
import { constant, type Expr, type KernelBuilder, type KernelInstance, type ScalarType } from "../loops/index.ts";
import { activatePlain, scaleOf, typed, zeroPointOf } from "./elementwise.ts";
import { requantize } from "./fixed.ts";
import { attributesOf, badNode, inputOf, type OpCase, type OpDef, outputOf, refuse, suffixOf, typeAt, unsupportedTypes } from "./op.ts";
import { type Activation, quantizeMultiplier, rangeOfDType } from "./quantization.ts";

export interface SvdfAttributes {
  /** Filters for each output unit. */
  readonly rank: number;
  readonly activation: Activation;
}

/** What an element type does with the two sums of a filter. */
interface SvdfRule {
  readonly type: ScalarType;
  /** acc + x · wFeature. */
  feature(acc: Expr, x: Expr, w: Expr): Expr;
  /** The newest entry of the state, from the feature sum. */
  store(sum: Expr): Expr;
  /** acc + state · wTime. */
  time(acc: Expr, state: Expr, w: Expr): Expr;
  finish(sum: Expr): Expr;
}

function floatRule(k: KernelBuilder, activation: Activation): SvdfRule {
  const multiplyAdd = (acc: Expr, x: Expr, w: Expr): Expr => acc.add(w.mul(x));
  return { type: "f32", feature: multiplyAdd, store: (sum) => sum, time: multiplyAdd, finish: (sum) => activatePlain(k, sum, activation) };
}

/**
 * Scales are joined in single precision. The fused activation has no step of its own: the output's range holds it.
 * Long memories of large 16-bit numbers wrap around, as they do in the reference kernel.
 */
function integerRule(k: KernelBuilder, node: Node): SvdfRule {
  const f = Math.fround;
  const [x, feature, time, state, y] = [inputOf(node, 0), inputOf(node, 1), inputOf(node, 2), inputOf(node, 4), outputOf(node)];
  const stateScale = scaleOf(node, state);
  const first = quantizeMultiplier(f(f(scaleOf(node, x) * scaleOf(node, feature)) / stateScale));
  const second = quantizeMultiplier(f(f(stateScale * scaleOf(node, time)) / scaleOf(node, y)));
  const range = rangeOfDType(state.dtype);
  const result = rangeOfDType(y.dtype);
  const stateZero = k.int("state_zero_point", zeroPointOf(node, state));
  return {
    type: "i32",
    feature: (acc, value, w) => acc.add(w.mul(value.sub(k.int("zero_point", zeroPointOf(node, x))))),
    store: (sum) =>
      k
        .call(requantize, sum, k.int("state_multiplier", first.multiplier), k.int("state_shift", first.shift))
        .add(stateZero)
        .clamp(range.low, range.high),
    time: (acc, value, w) => acc.wrapAdd(w.mul(value.sub(stateZero))),
    finish: (sum) => {
      const scaled = k.call(requantize, sum, k.int("multiplier", second.multiplier), k.int("shift", second.shift));
      return scaled.add(k.int("out_zero_point", zeroPointOf(node, y))).clamp(result.low, result.high);
    },
  };
}

function ruleOf(k: KernelBuilder, node: Node, activation: Activation): SvdfRule {
  const [x, feature, time, state, y] = [inputOf(node, 0), inputOf(node, 1), inputOf(node, 2), inputOf(node, 4), outputOf(node)];
  const types = [x, feature, y].map((value) => value.dtype);
  if (time.dtype !== state.dtype) throw unsupportedTypes(node);
  if (types.every((type) => type === "float32") && state.dtype === "float32") return floatRule(k, activation);
  if (types.every((type) => type === "int8") && (state.dtype === "int16" || state.dtype === "int8")) return integerRule(k, node);
  throw unsupportedTypes(node);
}

function svdfLoops(k: KernelBuilder, node: Node): KernelInstance {
  const a = attributesOf<SvdfAttributes>(node);
  const [x, feature, time, stateValue] = [inputOf(node, 0), inputOf(node, 1), inputOf(node, 2), inputOf(node, 4)];
  if (stateValue.variable !== true) throw badNode(node, "needs a variable as its state");
  const input = k.input(0, "x");
  const featureWeights = k.input(1, "w_feature");
  const timeWeights = k.input(2, "w_time");
  const bias = k.hasInput(3) ? k.input(3, "bias") : undefined;
  const state = k.input(4, "state", true);
  const output = k.output(0, "y");
  const rule = ruleOf(k, node, a.activation);
  const [inputs, memory] = [k.int("inputs", x.shape[1]!), k.int("memory", time.shape[1]!)];
  const [units, rank] = [k.int("units", feature.shape[0]! / a.rank), k.int("rank", a.rank)];
  // Every memory moves on by one; what crosses into the next filter is overwritten below.
  k.copy(state, 0, state, 1, k.int("state_length", elementCount(stateValue.shape)).sub(1));
  k.for("b", 0, k.int("batches", x.shape[0]!), (b) =>
    k.for("unit", 0, units, (unit) => {
      const acc = k.variable("acc", bias === undefined ? constant(0, rule.type) : bias.load(unit));
      k.for("r", 0, rank, (r) => {
        const filter = k.let("filter", unit.mul(rank).add(r));
        const sum = k.variable("feature_sum", constant(0, rule.type));
        k.for("i", 0, inputs, (i) =>
          sum.set(rule.feature(sum.get(), input.load(b.mul(inputs).add(i)), featureWeights.load(filter.mul(inputs).add(i)))),
        );
        const past = k.let("past", b.mul(units).mul(rank).add(filter).mul(memory));
        state.store(past.add(memory).sub(1), rule.store(k.let("feature_all", sum.get())));
        const over = k.variable("time_sum", constant(0, rule.type));
        k.for("t", 0, memory, (t) => over.set(rule.time(over.get(), state.load(past.add(t)), timeWeights.load(filter.mul(memory).add(t)))));
        acc.set(rule.type === "f32" ? acc.get().add(over.get()) : acc.get().wrapAdd(over.get()));
      });
      output.store(b.mul(units).add(unit), rule.finish(k.let("sum", acc.get())));
    }),
  );
  return k.finish(
    `svdf_${suffixOf(x.dtype)}_${suffixOf(stateValue.dtype)}`,
    "Singular value decomposition filter: a feature layer, then weights over its past results.",
  );
}

const NAME = "svdf";

function svdfCase(name: string, state: "int8" | "int16", zeroPoint: number, bias: boolean): OpCase {
  return {
    name,
    attributes: { rank: 2, activation: "relu" },
    inputs: [
      typed("int8", [2, 7], 0.05, -3),
      { ...typed("int8", [6, 7], 0.02), constant: true },
      { ...typed(state, [6, 5], 0.001), constant: true, low: -127, high: 127 },
      bias ? { dtype: "int32", shape: [3], constant: true, low: -2000, high: 2000 } : null,
      { ...typed(state, [2, 30], state === "int16" ? 0.0005 : 0.1, zeroPoint), variable: true, low: -100, high: 100 },
    ],
    outputs: [typed("int8", [2, 3], state === "int16" ? 0.003 : 0.04, -5)],
  };
}

export const svdf: OpDef = {
  name: NAME,
  infer(inputs, attributes) {
    const { rank } = attributesOf<SvdfAttributes>({ attributes });
    const [x, feature, time, state] = [typeAt(NAME, inputs, 0, 2), typeAt(NAME, inputs, 1, 2), typeAt(NAME, inputs, 2, 2), typeAt(NAME, inputs, 4)];
    const filters = feature.shape[0]!;
    if (!(rank >= 1) || filters % rank !== 0) refuse(NAME, `${filters} filters are not a multiple of the rank ${rank}`);
    if (feature.shape[1] !== x.shape[1]) refuse(NAME, `feature weights must be [${filters},${x.shape[1]}], not [${feature.shape.join(",")}]`);
    if (time.shape[0] !== filters) refuse(NAME, `time weights must have ${filters} rows, not ${time.shape[0]}`);
    const length = x.shape[0]! * filters * time.shape[1]!;
    if (elementCount(state.shape) !== length) refuse(NAME, `the state must have ${length} elements, not ${elementCount(state.shape)}`);
    const bias = inputs[3];
    if (bias && elementCount(bias.shape) !== filters / rank) refuse(NAME, `the bias must have ${filters / rank} elements`);
    return [{ dtype: x.dtype, shape: [x.shape[0]!, filters / rank] }];
  },
  loops: svdfLoops,
  macs: (node) => inputOf(node, 0).shape[0]! * (elementCount(inputOf(node, 1).shape) + elementCount(inputOf(node, 2).shape)),
  cases: [
    svdfCase("int8 with a 16-bit state", "int16", 0, true),
    svdfCase("int8 with an 8-bit state, no bias", "int8", 4, false),
    {
      name: "float",
      attributes: { rank: 2, activation: "relu" },
      inputs: [
        typed("float32", [2, 7]),
        { ...typed("float32", [6, 7]), constant: true },
        { ...typed("float32", [6, 5]), constant: true },
        { ...typed("float32", [3]), constant: true },
        { ...typed("float32", [2, 30]), variable: true },
      ],
      outputs: [typed("float32", [2, 3])],
    },
  ],
};
