import { elementCount } from "../base/index.ts";
import type { Node, ValueType } from "../graph/index.ts";
import { f32, i32, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { typed } from "./elementwise.ts";
import { attributesOf, inputOf, type OpCase, type OpDef, outputOf, typeAt } from "./op.ts";
import type { PoolAttributes } from "./pool.ts";
import { needFloats, realSuffix } from "./real-input.ts";
import { eachInside, eachPixel, windowSizes } from "./window.ts";

/** `shape` is the pool's input, [n, h, w, c]. */
export interface AveragePoolGradientAttributes extends PoolAttributes {
  readonly shape: readonly number[];
}

function averageLoops(k: KernelBuilder, node: Node): KernelInstance {
  needFloats(node);
  const a = attributesOf<AveragePoolGradientAttributes>(node);
  const [dy, dx] = [inputOf(node, 0), outputOf(node)];
  const [gradient, output] = [k.input(0, "dy"), k.output(0, "dx")];
  const s = windowSizes(k, dx, dy, a.filterH, a.filterW);
  k.for("i", 0, k.int("count", elementCount(dx.shape)), (i) => output.store(i, f32(0)));
  eachPixel(k, s, a, (n, oy, ox, y0, x0) => {
    const count = k.variable("inside", i32(0));
    eachInside(k, s, a, n, y0, x0, () => count.set(count.get().add(1)));
    const share = k.let("share", f32(1).div(count.get().to("f32")));
    const from = k.let("from", n.mul(s.outH).add(oy).mul(s.outW).add(ox).mul(s.outC));
    eachInside(k, s, a, n, y0, x0, (_ky, _kx, pixel) =>
      k.for("c", 0, s.inC, (c) => {
        const at = k.let("at", pixel.mul(s.inC).add(c));
        output.store(at, output.load(at).add(gradient.load(from.add(c)).mul(share)));
      }),
    );
  });
  return k.finish("average_pool_gradient_f32", "Spreads each gradient over its window.");
}

function maxLoops(k: KernelBuilder, node: Node): KernelInstance {
  needFloats(node, [0]);
  const a = attributesOf<PoolAttributes>(node);
  const [x, dy] = [inputOf(node, 0), inputOf(node, 1)];
  const [input, gradient, output] = [k.input(0, "x"), k.input(1, "dy"), k.output(0, "dx")];
  const s = windowSizes(k, x, dy, a.filterH, a.filterW);
  k.for("i", 0, k.int("count", elementCount(x.shape)), (i) => output.store(i, f32(0)));
  eachPixel(k, s, a, (n, oy, ox, y0, x0) =>
    k.for("c", 0, s.inC, (c) => {
      // Stored numbers are in the order of those that they stand for.
      const best = k.variable("best", x.dtype === "float32" ? f32(-3.4028234663852886e38) : i32(-(2 ** 31)));
      const where = k.variable("where", i32(-1));
      eachInside(k, s, a, n, y0, x0, (_ky, _kx, pixel) => {
        const at = k.let("at", pixel.mul(s.inC).add(c));
        const value = k.let("value", input.load(at));
        k.if(value.gt(best.get()), () => {
          best.set(value);
          where.set(at);
        });
      });
      k.if(where.get().ge(0), () => {
        const from = n.mul(s.outH).add(oy).mul(s.outW).add(ox).mul(s.outC).add(c);
        output.store(where.get(), output.load(where.get()).add(gradient.load(from)));
      });
    }),
  );
  return k.finish(`max_pool_gradient_${realSuffix(node)}`, "Gives each gradient to the first largest element of its window.");
}

const WINDOW = { filterH: 3, filterW: 3, strideH: 2, strideW: 2, padTop: 1, padBottom: 1, padLeft: 1, padRight: 1, activation: "none" } as const;
const WHOLE = { filterH: 4, filterW: 3, strideH: 1, strideW: 1, padTop: 0, padBottom: 0, padLeft: 0, padRight: 0, activation: "none" } as const;
const floats = (shape: number[]): ValueType => ({ dtype: "float32", shape });

function averageCase(name: string, window: typeof WINDOW | typeof WHOLE, dy: number[], dx: number[]): OpCase {
  return { name, inputs: [floats(dy)], outputs: [floats(dx)], attributes: { ...window, shape: dx } };
}

/** dx of an average pool from dy; positions outside the input do not count. */
export const averagePool2dGradient: OpDef = {
  name: "averagePool2dGradient",
  infer(inputs, attributes) {
    return [{ dtype: typeAt("averagePool2dGradient", inputs, 0, 4).dtype, shape: attributesOf<AveragePoolGradientAttributes>({ attributes }).shape }];
  },
  loops: averageLoops,
  cases: [averageCase("windows", WINDOW, [2, 3, 3, 5], [2, 5, 6, 5]), averageCase("whole map", WHOLE, [2, 1, 1, 8], [2, 4, 3, 8])],
};

/** dx of a max pool from its input and dy. */
export const maxPool2dGradient: OpDef = {
  name: "maxPool2dGradient",
  infer(inputs) {
    return [{ dtype: typeAt("maxPool2dGradient", inputs, 1, 4).dtype, shape: typeAt("maxPool2dGradient", inputs, 0, 4).shape }];
  },
  loops: maxLoops,
  cases: [floats([2, 5, 6, 5]), typed("int8", [2, 5, 6, 5], 0.05, -3)].map((x) => ({
    name: `windows of ${x.dtype}`,
    inputs: [x, floats([2, 3, 3, 5])],
    outputs: [floats([2, 5, 6, 5])],
    attributes: { ...WINDOW },
  })),
};
