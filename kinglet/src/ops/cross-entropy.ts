import { sameShape } from "../base/index.ts";
import type { Node, ValueType } from "../graph/index.ts";
import { f32, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { oneType } from "./elementwise.ts";
import { expFloat, logFloat } from "./float-math.ts";
import { inputOf, type OpDef, refuse, typeAt } from "./op.ts";

function loops(k: KernelBuilder, node: Node): KernelInstance {
  oneType(node, ["float32"]);
  const [rows, classes] = inputOf(node, 0).shape as [number, number];
  const [logits, targets] = [k.input(0, "logits"), k.input(1, "targets")];
  const [loss, probabilities] = [k.output(0, "loss"), k.output(1, "probabilities")];
  const depth = k.int("classes", classes);
  k.for("row", 0, k.int("rows", rows), (row) => {
    const first = k.let("first", row.mul(depth));
    const top = k.variable("top", f32(-3.4028234663852886e38));
    k.for("c", 0, depth, (c) => top.set(top.get().max(logits.load(first.add(c)))));
    const largest = k.let("largest", top.get());
    const sum = k.variable("sum", f32(0));
    k.for("c", 0, depth, (c) => {
      const power = k.let("power", k.call(expFloat, logits.load(first.add(c)).sub(largest)));
      probabilities.store(first.add(c), power);
      sum.set(sum.get().add(power));
    });
    const total = k.let("total", sum.get());
    const log = k.let("log_total", k.call(logFloat, total).add(largest));
    const all = k.variable("all", f32(0));
    k.for("c", 0, depth, (c) => {
      const at = k.let("at", first.add(c));
      probabilities.store(at, probabilities.load(at).div(total));
      all.set(all.get().add(targets.load(at).mul(log.sub(logits.load(at)))));
    });
    loss.store(row, all.get());
  });
  return k.finish("softmax_cross_entropy_f32", "Cross-entropy of class probabilities with their targets, row by row.");
}

const floats = (shape: number[]): ValueType => ({ dtype: "float32", shape });

/**
 * −Σ targets · log softmax(logits) of each row, and softmax(logits). Logits and targets are [rows, classes]; a row of
 * targets sums to its weight (1 as a rule), labels or soft labels alike.
 */
export const softmaxCrossEntropy: OpDef = {
  name: "softmaxCrossEntropy",
  infer(inputs) {
    const [logits, targets] = [typeAt("softmaxCrossEntropy", inputs, 0, 2), typeAt("softmaxCrossEntropy", inputs, 1, 2)];
    if (!sameShape(logits.shape, targets.shape)) refuse("softmaxCrossEntropy", "logits and targets differ in shape");
    return [
      { dtype: logits.dtype, shape: [logits.shape[0]!] },
      { dtype: logits.dtype, shape: logits.shape },
    ];
  },
  loops,
  cases: [
    {
      name: "float",
      inputs: [
        { ...floats([5, 7]), low: -9, high: 9 },
        { ...floats([5, 7]), low: 0, high: 0.3 },
      ],
      outputs: [floats([5]), floats([5, 7])],
      attributes: {},
    },
  ],
};
