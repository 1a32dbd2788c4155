import type { Node } from "../graph/index.ts";
import { f32, i32, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { eachElement } from "./elementwise.ts";
import { attributesOf, inputOf, type OpDef, typeAt, unsupportedTypes } from "./op.ts";

/** Srivastava et al., "Dropout", JMLR 2014; `salt` tells the dropouts of a network apart. */
export interface DropoutAttributes {
  readonly rate: number;
  readonly salt: number;
}

function loops(k: KernelBuilder, node: Node): KernelInstance {
  const { rate, salt } = attributesOf<DropoutAttributes>(node);
  if (inputOf(node, 0).dtype !== "float32") throw unsupportedTypes(node);
  const [x, seed, y] = [k.input(0, "x"), k.input(1, "seed"), k.output(0, "y")];
  const start = k.let(
    "start",
    seed
      .load(0)
      .wrapMul(i32(0x27d4eb2f))
      .wrapAdd(k.int("salt", Math.imul(salt + 1, 0x165667b1))),
  );
  eachElement(k, inputOf(node, 0).shape, (i) => {
    // The finalizer of MurmurHash3: every bit of the index and the seed reaches every bit of the result.
    const a = k.let("a", start.wrapAdd(i.wrapMul(i32(0x9e3779b1 | 0))));
    const b = k.let("b", a.xor(a.shru(16)).wrapMul(i32(0x85ebca6b | 0)));
    const c = k.let("c", b.xor(b.shru(13)).wrapMul(i32(0xc2b2ae35 | 0)));
    const draw = k.let("draw", c.xor(c.shru(16)).shru(8));
    const kept = draw.ge(k.int("dropped", Math.round(rate * 2 ** 24)));
    y.store(i, kept.select(x.load(i).mul(k.float("gain", 1 / (1 - rate))), f32(0)));
  });
  return k.finish("dropout_f32", "Drops elements by a hash of their index and the seed, and raises the others.");
}

/** Each element is 0 with probability `rate`, else x / (1 − rate). The same seed (int32 [1]) drops the same elements. */
export const dropout: OpDef = {
  name: "dropout",
  infer(inputs) {
    const { dtype, shape } = typeAt("dropout", inputs, 0);
    typeAt("dropout", inputs, 1);
    return [{ dtype, shape }];
  },
  loops,
  cases: [
    {
      name: "float",
      inputs: [
        { dtype: "float32", shape: [4, 33] },
        { dtype: "int32", shape: [1] },
      ],
      outputs: [{ dtype: "float32", shape: [4, 33] }],
      attributes: { rate: 0.3, salt: 1 },
    },
  ],
};
