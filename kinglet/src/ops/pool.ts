import type { Node, ValueType } from "../graph/index.ts";
import { constant, type Expr, f32, i32, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { quantized } from "./conv.ts";
import { attributesOf, inputOf, type OpDef, outputOf, suffixOf, typeAt, unsupportedTypes } from "./op.ts";
import { floatBounds, quantizationOf, quantizedBounds } from "./quantization.ts";
import { eachInside, eachPixel, type WindowAttributes, windowPositions, windowSizes } from "./window.ts";

export interface PoolAttributes extends WindowAttributes {
  readonly filterH: number;
  readonly filterW: number;
}

function poolShape(op: string, inputs: readonly (ValueType | null)[], a: PoolAttributes): number[] {
  const x = typeAt(op, inputs, 0, 4);
  const oh = windowPositions(op, x.shape[1]!, a.padTop, a.padBottom, a.filterH, a.strideH);
  const ow = windowPositions(op, x.shape[2]!, a.padLeft, a.padRight, a.filterW, a.strideW);
  return [x.shape[0]!, oh, ow, x.shape[3]!];
}

/** Least and greatest result of a pool, by its activation. */
export function poolBounds(node: Node, a: PoolAttributes): { low: number; high: number } {
  const y = outputOf(node);
  if (y.dtype === "float32") return floatBounds(a.activation);
  if (y.dtype !== "int8" && y.dtype !== "uint8" && y.dtype !== "int16") throw unsupportedTypes(node);
  return quantizedBounds(a.activation, quantizationOf(node, y), y.dtype);
}

/** The integer nearest to sum / count, halves away from zero. */
export function roundedMean(sum: Expr, count: Expr): Expr {
  const half = count.shr(1);
  return sum.gt(0).select(sum.add(half), sum.sub(half)).div(count);
}

/** Integer averages round half away from zero, as the specification says. */
function averageLoops(k: KernelBuilder, node: Node): KernelInstance {
  const a = attributesOf<PoolAttributes>(node);
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  const { low, high } = poolBounds(node, a);
  const float = x.dtype === "float32";
  const input = k.input(0, "x");
  const output = k.output(0, "y");
  const sizes = windowSizes(k, x, y, a.filterH, a.filterW);
  const limit = (name: string, value: number): ReturnType<KernelBuilder["int"]> => (float ? k.float(name, value) : k.int(name, value));
  eachPixel(k, sizes, a, (n, oy, ox, y0, x0) =>
    k.for("c", 0, sizes.outC, (c) => {
      const acc = k.variable("acc", constant(0, float ? "f32" : "i32"));
      const count = k.variable("count", i32(0));
      eachInside(k, sizes, a, n, y0, x0, (_ky, _kx, pixel) => {
        acc.set(acc.get().add(input.load(pixel.mul(sizes.inC).add(c))));
        count.set(count.get().add(1));
      });
      const sum = k.let("sum", acc.get());
      const mean = float ? sum.div(count.get().to("f32")) : roundedMean(sum, count.get());
      output.store(n.mul(sizes.outH).add(oy).mul(sizes.outW).add(ox).mul(sizes.outC).add(c), mean.clamp(limit("low", low), limit("high", high)));
    }),
  );
  return k.finish(`average_pool_${suffixOf(x.dtype)}`, "Average over a window; positions outside the input do not count.");
}

function maxLoops(k: KernelBuilder, node: Node): KernelInstance {
  const a = attributesOf<PoolAttributes>(node);
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  const { low, high } = poolBounds(node, a);
  const float = x.dtype === "float32";
  const input = k.input(0, "x");
  const output = k.output(0, "y");
  const sizes = windowSizes(k, x, y, a.filterH, a.filterW);
  const limit = (name: string, value: number): ReturnType<KernelBuilder["int"]> => (float ? k.float(name, value) : k.int(name, value));
  eachPixel(k, sizes, a, (n, oy, ox, y0, x0) =>
    k.for("c", 0, sizes.outC, (c) => {
      const best = k.variable("best", float ? f32(-3.4028234663852886e38) : i32(-32768));
      eachInside(k, sizes, a, n, y0, x0, (_ky, _kx, pixel) => {
        const value = k.let("value", input.load(pixel.mul(sizes.inC).add(c)));
        best.set(best.get().max(value));
      });
      output.store(
        n.mul(sizes.outH).add(oy).mul(sizes.outW).add(ox).mul(sizes.outC).add(c),
        best.get().clamp(limit("low", low), limit("high", high)),
      );
    }),
  );
  return k.finish(`max_pool_${suffixOf(x.dtype)}`, "Largest element of a window; positions outside the input do not count.");
}

const SAME: PoolAttributes = { filterH: 3, filterW: 3, strideH: 2, strideW: 2, padTop: 1, padBottom: 1, padLeft: 0, padRight: 1, activation: "none" };
const cases = [
  {
    name: "int8",
    attributes: { ...SAME },
    inputs: [{ dtype: "int8", shape: [1, 5, 6, 3], quantization: quantized(0.1, 3) }],
    outputs: [{ dtype: "int8", shape: [1, 3, 3, 3], quantization: quantized(0.1, 3) }],
  },
  {
    name: "uint8 relu",
    attributes: { ...SAME, activation: "relu" },
    inputs: [{ dtype: "uint8", shape: [1, 5, 6, 3], quantization: quantized(0.1, 120) }],
    outputs: [{ dtype: "uint8", shape: [1, 3, 3, 3], quantization: quantized(0.1, 120) }],
  },
  {
    name: "float",
    attributes: { ...SAME, activation: "relu6" },
    inputs: [{ dtype: "float32", shape: [1, 5, 6, 3] }],
    outputs: [{ dtype: "float32", shape: [1, 3, 3, 3] }],
  },
] as const satisfies OpDef["cases"];

export const averagePool2d: OpDef = {
  name: "averagePool2d",
  infer: (inputs, attributes) => [
    { dtype: typeAt("averagePool2d", inputs, 0).dtype, shape: poolShape("averagePool2d", inputs, attributesOf({ attributes })) },
  ],
  loops: averageLoops,
  cases,
};

export const maxPool2d: OpDef = {
  name: "maxPool2d",
  infer: (inputs, attributes) => [
    { dtype: typeAt("maxPool2d", inputs, 0).dtype, shape: poolShape("maxPool2d", inputs, attributesOf({ attributes })) },
  ],
  loops: maxLoops,
  cases,
};
