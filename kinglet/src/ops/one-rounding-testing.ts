import type { Node } from "../graph/index.ts";
import { type Argument, bitsToFloat, defineFunction, type Expr, type Func, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { conv2d, depthwiseConv2d } from "./conv.ts";
import { fullyConnected } from "./dense.ts";
import { binaryLoops, scaleOf, unaryLoops, zeroPointOf } from "./elementwise.ts";
import { attributesOf, inputOf, type OpDef, outputOf, type Schedule, type Schedules } from "./op.ts";
import { quantizedBounds, quantizationOf, rangeOfDType } from "./quantization.ts";
import type { ResizeAttributes } from "./resize.ts";

/**
 * Kernels that round as XNNPACK does, the library behind TensorFlow Lite on large machines, where that is not the
 * published specification's way. They serve only to compare: results of that library tell mistakes from roundings then.
 */

const f = Math.fround;

function isByte(node: Node): boolean {
  const { dtype } = outputOf(node);
  return (dtype === "int8" || dtype === "uint8") && inputOf(node, 0).dtype === dtype;
}

function stored(node: Node, x: Expr): Expr {
  const y = outputOf(node);
  const { low, high } = quantizedBounds(attributesOf<{ activation?: "none" }>(node).activation ?? "none", quantizationOf(node, y), y.dtype);
  return x.add(zeroPointOf(node, y)).clamp(low, high);
}

const requantizeFloat: Func = defineFunction(
  "requantize_float",
  "x times a float given by its bits, ties to even.",
  { x: "i32", multiplier: "i32", shift: "i32" },
  "i32",
  (f, x, multiplier, _) => {
    f.return(
      x!
        .to("f32")
        .mul(bitsToFloat(multiplier!))
        .clamp(-(2 ** 30), 2 ** 30)
        .rint()
        .to("i32"),
    );
  },
);

/** A copy of statements that calls `requantizeFloat` where they called `requantize`. */
function redirected<T>(tree: T): T {
  if (Array.isArray(tree)) return tree.map(redirected) as T;
  if (typeof tree !== "object" || tree === null) return tree;
  const entries = Object.entries(tree).map(([key, value]) => [
    key,
    key === "func" && value === "requantize" ? requantizeFloat.name : redirected(value),
  ]);
  return Object.assign(Object.create(Object.getPrototypeOf(tree)), Object.fromEntries(entries)) as T;
}

/** The factors of a layer's channels in single precision, as bits. */
function floatFactors(node: Node, channels: number): Int32Array {
  const scales = inputOf(node, 1).quantization!.scales;
  const factor = (c: number): number =>
    f(f(scaleOf(node, inputOf(node, 0)) * f(scales[scales.length > 1 ? c : 0]!)) / f(scaleOf(node, outputOf(node))));
  return new Int32Array(Float32Array.from({ length: channels }, (_, c) => factor(c)).buffer);
}

/** The plain loops of a layer, with each sum rounded once in single precision. */
function layer(op: OpDef): Schedule {
  return (node) =>
    !isByte(node)
      ? undefined
      : (k) => {
          const { func, args } = op.loops(k, node);
          const inFloat = (arg: Argument): Argument =>
            arg.kind === "constant" && arg.name === "multiplier" ? { ...arg, data: floatFactors(node, arg.data.length) } : arg;
          return {
            func: { ...func, name: `${func.name}_once`, body: redirected(func.body), uses: [...func.uses, requantizeFloat] },
            args: args.map(inFloat),
          };
        };
}

function mul(k: KernelBuilder, node: Node): KernelInstance {
  const [a, b] = [inputOf(node, 0), inputOf(node, 1)];
  const factor = f(f(scaleOf(node, a) * f(scaleOf(node, b))) / f(scaleOf(node, outputOf(node))));
  binaryLoops(k, node, (left, right) => {
    const product = left.sub(zeroPointOf(node, a)).mul(right.sub(zeroPointOf(node, b)));
    return stored(node, product.to("f32").mul(k.float("factor", factor)).rint().to("i32"));
  });
  return k.finish("mul_once", "Product with one rounding.");
}

/** Both factors have one power of two, at which the larger takes 21 bits; ties go upward. */
function sum(k: KernelBuilder, node: Node, sign: 1 | -1): KernelInstance {
  const ratios = [0, 1].map((i) => f(f(scaleOf(node, inputOf(node, i))) / f(scaleOf(node, outputOf(node)))));
  const shift = 20 - Math.floor(Math.log2(Math.max(...ratios)));
  const [first, second] = ratios.map((ratio) => Math.round(ratio * 2 ** shift)) as [number, number];
  const [za, zb] = [zeroPointOf(node, inputOf(node, 0)), zeroPointOf(node, inputOf(node, 1))];
  binaryLoops(k, node, (a, b) => {
    const total = a
      .sub(za)
      .mul(first)
      .add(b.sub(zb).mul(sign * second));
    return stored(node, total.add(2 ** (shift - 1)).shr(shift));
  });
  return k.finish("sum_once", "Sum with one rounding.");
}

/** One entry for each of the 256 inputs, from the real function. */
function logistic(k: KernelBuilder, node: Node): KernelInstance {
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  const { low, high } = rangeOfDType(y.dtype);
  const table = k.constant(
    "table",
    "i32",
    Int32Array.from({ length: 256 }, (_, i) => {
      const real = 1 / (1 + Math.exp(-scaleOf(node, x) * (i + low - zeroPointOf(node, x))));
      return Math.max(low, Math.min(high, Math.round(real / scaleOf(node, y)) + zeroPointOf(node, y)));
    }),
  );
  unaryLoops(k, node, (value) => table.load(value.sub(low)));
  return k.finish("logistic_table", "Logistic by a table.");
}

/** Times the inverse scale, ties to even. */
function quantize(k: KernelBuilder, node: Node): KernelInstance {
  const inverse = f(1 / f(scaleOf(node, outputOf(node))));
  unaryLoops(k, node, (value) =>
    stored(
      node,
      value
        .mul(k.float("inverse", inverse))
        .rint()
        .clamp(-(2 ** 20), 2 ** 20)
        .to("i32"),
    ),
  );
  return k.finish("quantize_even", "Quantizes floats, ties to even.");
}

/** Lower and upper neighbour of every position, and the part of the way between them in 1/2048. */
function positions(
  k: KernelBuilder,
  name: string,
  input: number,
  output: number,
  a: ResizeAttributes,
): (i: Expr) => { low: Expr; high: Expr; part: Expr } {
  const step = a.alignCorners && output > 1 ? (input - 1) / (output - 1) : input / output;
  const at = Array.from({ length: output }, (_, i) => Math.min(input - 1, Math.max(0, a.halfPixelCenters ? (i + 0.5) * step - 0.5 : i * step)));
  const low = k.constant(`${name}_low`, "i32", Int32Array.from(at, Math.floor));
  const high = k.constant(
    `${name}_high`,
    "i32",
    Int32Array.from(at, (x) => Math.min(input - 1, Math.floor(x) + 1)),
  );
  const part = k.constant(
    `${name}_part`,
    "i32",
    Int32Array.from(at, (x) => Math.round((x - Math.floor(x)) * 2048)),
  );
  return (i) => ({ low: low.load(i), high: high.load(i), part: part.load(i) });
}

/** Ties go upward. */
function resize(k: KernelBuilder, node: Node): KernelInstance {
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  const [, inH, inW, channels] = x.shape as [number, number, number, number];
  const [batches, outH, outW] = y.shape as [number, number, number];
  const [input, output] = [k.input(0, "x"), k.output(0, "y")];
  const a = attributesOf<ResizeAttributes>(node);
  const [rows, columns] = [positions(k, "row", inH, outH, a), positions(k, "column", inW, outW, a)];
  k.for("n", 0, batches, (n) =>
    k.for("oy", 0, outH, (oy) =>
      k.for("ox", 0, outW, (ox) =>
        k.for("c", 0, channels, (c) => {
          const [row, column] = [rows(oy), columns(ox)];
          const load = (h: Expr, w: Expr): Expr => input.load(n.mul(inH).add(h).mul(inW).add(w).mul(channels).add(c));
          const across = (h: Expr): Expr => load(h, column.low).mul(column.part.mul(-1).add(2048)).add(load(h, column.high).mul(column.part));
          const mixed = across(row.low).mul(row.part.mul(-1).add(2048)).add(across(row.high).mul(row.part));
          output.store(n.mul(outH).add(oy).mul(outW).add(ox).mul(channels).add(c), mixed.add(1 << 21).shr(22));
        }),
      ),
    ),
  );
  return k.finish("resize_once", "Scales a picture, rounded once.");
}

export const ONE_ROUNDING: Schedules = {
  conv2d: layer(conv2d),
  depthwiseConv2d: layer(depthwiseConv2d),
  fullyConnected: layer(fullyConnected),
  mul: (node) => (isByte(node) ? (k) => mul(k, node) : undefined),
  add: (node) => (isByte(node) ? (k) => sum(k, node, 1) : undefined),
  sub: (node) => (isByte(node) ? (k) => sum(k, node, -1) : undefined),
  logistic: (node) => (isByte(node) ? (k) => logistic(k, node) : undefined),
  quantize: (node) => (inputOf(node, 0).dtype === "float32" ? (k) => quantize(k, node) : undefined),
  resizeBilinear: (node) => (isByte(node) ? (k) => resize(k, node) : undefined),
};
