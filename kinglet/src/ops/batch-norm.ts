import { elementCount } from "../base/index.ts";
import type { Node, ValueType } from "../graph/index.ts";
import type { KernelBuilder, KernelInstance } from "../loops/index.ts";
import { activatePlain, makeCase, oneType, typed } from "./elementwise.ts";
import { attributesOf, inputOf, type OpCase, type OpDef, refuse, typeAt } from "./op.ts";
import type { Activation } from "./quantization.ts";

export interface BatchNormAttributes {
  /** Keeps the root away from 0 where a channel hardly varies. */
  readonly epsilon: number;
  readonly activation: Activation;
}

const STATISTICS = ["scale", "offset", "mean", "variance"] as const;

/** Channel by channel, so that the root and the division happen once for each. */
function batchNormLoops(k: KernelBuilder, node: Node): KernelInstance {
  oneType(node, ["float32"]);
  const { epsilon, activation } = attributesOf<BatchNormAttributes>(node);
  const x = inputOf(node, 0);
  const channelCount = x.shape[x.shape.length - 1]!;
  const input = k.input(0, "x");
  const [scale, offset, mean, variance] = STATISTICS.map((name, i) => k.input(i + 1, name)) as [
    typeof input,
    typeof input,
    typeof input,
    typeof input,
  ];
  const output = k.output(0, "y");
  const channels = k.int("channels", channelCount);
  const rows = k.int("rows", elementCount(x.shape) / channelCount);
  k.for("c", 0, channels, (c) => {
    const deviation = variance.load(c).add(k.float("epsilon", epsilon)).sqrt();
    const factor = k.let("factor", scale.load(c).div(deviation));
    const center = k.let("center", mean.load(c));
    const shift = k.let("shift", offset.load(c));
    k.for("row", 0, rows, (row) => {
      const at = k.let("at", row.mul(channels).add(c));
      const normal = input.load(at).sub(center).mul(factor).add(shift);
      output.store(at, activatePlain(k, normal, activation));
    });
  });
  return k.finish("batch_norm_f32", "Batch normalization with given statistics, one channel at a time.");
}

const channelsOf = (count: number): ValueType[] => STATISTICS.map(() => typed("float32", [count]));

function floatCase(name: string, shape: number[], activation: Activation, constant: boolean): OpCase {
  const statistics = channelsOf(shape[shape.length - 1]!).map((type, i) => ({ ...type, constant, ...(i === 3 ? { low: 0.1, high: 3 } : {}) }));
  return makeCase(name, [typed("float32", shape), ...statistics], typed("float32", shape), { epsilon: 1e-3, activation });
}

/**
 * Batch normalization (Ioffe and Szegedy, arXiv 1502.03167) with given statistics: inputs [x, scale, offset, mean, variance], of which
 * the last four are [channels] along the last axis of x; y = (x − mean) · scale / √(variance + epsilon) + offset, then the activation.
 */
export const batchNorm: OpDef = {
  name: "batchNorm",
  infer(inputs) {
    const x = typeAt("batchNorm", inputs, 0);
    const channels = x.shape[x.shape.length - 1];
    if (channels === undefined) refuse("batchNorm", "the input must have at least one dimension");
    STATISTICS.forEach((name, i) => {
      const { shape } = typeAt("batchNorm", inputs, i + 1);
      if (shape.length !== 1 || shape[0] !== channels) refuse("batchNorm", `the ${name} must be [${channels}], not [${shape.join(",")}]`);
    });
    return [{ dtype: x.dtype, shape: x.shape }];
  },
  loops: batchNormLoops,
  parameters: [1, 2],
  cases: [
    floatCase("float", [2, 3, 4, 5], "none", true),
    floatCase("rows, relu6", [6, 7], "relu6", true),
    floatCase("statistics of the moment, relu", [1, 3, 2, 4], "relu", false),
    floatCase("tanh", [2, 3], "tanh", true),
  ],
};
