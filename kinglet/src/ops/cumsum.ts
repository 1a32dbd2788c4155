import { elementCount } from "../base/index.ts";
import type { Node } from "../graph/index.ts";
import { constant, type Expr, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { oneType, scalarOf, scaleOf, zeroPointOf } from "./elementwise.ts";
import { requantize } from "./fixed.ts";
import { movedType } from "./move.ts";
import { attributesOf, inputOf, type OpDef, outputOf, refuse, suffixOf, typeAt } from "./op.ts";
import { quantizeMultiplier } from "./quantization.ts";

export interface CumsumAttributes {
  readonly axis: number;
  /** An element's own value does not count. */
  readonly exclusive: boolean;
  /** From the last element to the first. */
  readonly reverse: boolean;
}

/** How elements are summed: where the sum starts, what an element adds, what is stored. */
interface Rule {
  readonly start: Expr;
  readonly element: (value: Expr) => Expr;
  readonly stored: (sum: Expr) => Expr;
}

function plainRule(node: Node): Rule {
  return { start: constant(0, scalarOf(node, inputOf(node, 0))), element: (value) => value, stored: (sum) => sum };
}

/**
 * TensorFlow Lite Micro's int8 form: elements get 19 more bits (20, and a factor of one half), the sum is rescaled
 * for every output, and it starts from what a stored 0 stands for instead of a real 0.
 */
function byteRule(k: KernelBuilder, node: Node): Rule {
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  const factor = quantizeMultiplier((2 * scaleOf(node, x)) / (2 ** 20 * scaleOf(node, y)));
  const offset = k.int("offset", -zeroPointOf(node, x));
  return {
    start: offset.mul(1 << 19),
    element: (value) => value.add(offset).mul(1 << 19),
    stored: (sum) =>
      k
        .call(requantize, sum, k.int("multiplier", factor.multiplier), k.int("shift", factor.shift))
        .add(k.int("zero_point", zeroPointOf(node, y)))
        .clamp(-128, 127),
  };
}

function cumsumLoops(k: KernelBuilder, node: Node): KernelInstance {
  const { axis, exclusive, reverse } = attributesOf<CumsumAttributes>(node);
  const { shape } = inputOf(node, 0);
  const dtype = oneType(node, ["float32", "int32", "int64", "int8"]);
  const [input, output] = [k.input(0, "x"), k.output(0, "y")];
  const [inner, size] = [k.int("inner", elementCount(shape.slice(axis + 1))), k.int("size", shape[axis]!)];
  const rule = dtype === "int8" ? byteRule(k, node) : plainRule(node);
  k.for("o", 0, k.int("outer", elementCount(shape.slice(0, axis))), (o) =>
    k.for("i", 0, inner, (i) => {
      const sum = k.variable("sum", rule.start);
      k.for("d", 0, size, (d) => {
        const along = reverse ? size.sub(1).sub(d) : d;
        const at = k.let("at", o.mul(size).add(along).mul(inner).add(i));
        const before = k.let("before", sum.get());
        const value = rule.element(input.load(at));
        const after = k.let("after", value.type === "f32" ? before.add(value) : before.wrapAdd(value));
        output.store(at, rule.stored(exclusive ? before : after));
        sum.set(after);
      });
    }),
  );
  return k.finish(`cumsum_${suffixOf(dtype)}`, "Sums of all elements up to each along an axis.");
}

export const cumsum: OpDef = {
  name: "cumsum",
  infer(inputs, attributes) {
    const x = typeAt("cumsum", inputs, 0);
    const { axis } = attributesOf<CumsumAttributes>({ attributes });
    if (!(axis >= 0 && axis < x.shape.length)) refuse("cumsum", `there is no axis ${axis} in [${x.shape.join(",")}]`);
    return [{ dtype: x.dtype, shape: x.shape }];
  },
  loops: cumsumLoops,
  cases: (["float32", "int32", "int64", "int8"] as const).flatMap((dtype) =>
    [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ].map(([exclusive, reverse]) => ({
      name: `${dtype}${exclusive ? " exclusive" : ""}${reverse ? " reverse" : ""}`,
      attributes: { axis: exclusive ? 2 : 1, exclusive: exclusive!, reverse: reverse! },
      inputs: [movedType(dtype, [2, 4, 3])],
      outputs: [
        dtype === "int8" ? { dtype, shape: [2, 4, 3], quantization: { scales: [0.11], zeroPoints: [7], axis: 0 } } : movedType(dtype, [2, 4, 3]),
      ],
    })),
  ),
};
