import { elementCount, KingletError, sameShape, shapeText, Xorshift32 } from "../base/index.ts";
import type { GraphBuilder, Value } from "../graph/index.ts";
import { applyOp } from "../ops/index.ts";
import type { StateVariable } from "./optimizer.ts";

/**
 * What FitNets (Romero et al., ICLR 2015) adds to a loss, here at the same time as everything else: the mean square between what two nodes
 * compute. Where they have other numbers of channels, a 1x1 convolution or dense layer that is trained along stands between them.
 */
export interface Hint {
  /** Names of nodes; their outputs must agree in all but the channels. */
  readonly student: string;
  readonly teacher: string;
  /** What it counts beside the rest of the loss. Default 1. */
  readonly weight?: number;
}

/** A node's first output. @throws KingletError `misuse` where there is no such node. */
export function outputNamed(builder: GraphBuilder, name: string, whose: string): Value {
  const node = builder.written.find((each) => each.name === name);
  if (node === undefined)
    throw new KingletError("misuse", `the ${whose} has no layer "${name}"`, { hint: "kinglet inspect --json lists their names." });
  return node.outputs[0]!;
}

const FLAT = { strideH: 1, strideW: 1, dilationH: 1, dilationW: 1, padTop: 0, padBottom: 0, padLeft: 0, padRight: 0, activation: "none" };

/** Trained along, and no part of the network: from the student's channels to the teacher's. */
function regressed(builder: GraphBuilder, x: Value, channels: number, state: StateVariable[]): Value {
  const width = x.shape.at(-1)!;
  const shape = x.shape.length === 4 ? [channels, 1, 1, width] : [channels, width];
  const random = new Xorshift32(width * 31 + channels);
  const reach = Math.sqrt(3 / width);
  const initial = Float32Array.from({ length: elementCount(shape) }, () => reach * random.float());
  const value = builder.variable("hint/regressor", { dtype: "float32", shape }, initial);
  state.push({ name: value.name, value });
  return x.shape.length === 4
    ? applyOp(builder, "conv2d", [x, value, null], FLAT, "hint/regressed")[0]!
    : applyOp(builder, "fullyConnected", [x, value, null], { activation: "none", keepDims: false }, "hint/regressed")[0]!;
}

/** The weighted mean square of each sample, [batch]. */
export function hintLoss(builder: GraphBuilder, student: Value, teacher: Value, weight: number, state: StateVariable[]): Value {
  if (!(weight > 0 && Number.isFinite(weight))) throw new KingletError("misuse", `the hint's weight is ${weight}; it must be above 0`);
  const [own, other] = [student.shape, teacher.shape];
  if ((own.length !== 2 && own.length !== 4) || !sameShape(own.slice(0, -1), other.slice(0, -1)))
    throw new KingletError("misuse", `a hint from ${shapeText(other)} to ${shapeText(own)}: all but the channels must agree`);
  const guess = own.at(-1) === other.at(-1) ? student : regressed(builder, student, other.at(-1)!, state);
  const squares = applyOp(builder, "squaredDifference", [guess, teacher], { activation: "none" }, "hint/squares")[0]!;
  const axes = other.slice(1).map((_, d) => d + 1);
  const means = applyOp(builder, "mean", [squares], { axes, keepDims: false }, "hint/means")[0]!;
  const by = builder.constant("hint/weight", { dtype: "float32", shape: [1] }, Float32Array.of(weight));
  return applyOp(builder, "mul", [means, by], { activation: "none" }, "hint/losses")[0]!;
}
