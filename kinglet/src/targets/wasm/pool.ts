import type { Node } from "../../graph/index.ts";
import {
  type Buffer,
  constant,
  type Expr,
  type Images,
  imagesOf,
  type KernelBuilder,
  type KernelInstance,
  NO_BORDER,
  type Variable,
  vector,
  vectorLoad,
} from "../../loops/index.ts";
import { attributesOf, inputOf, type Kernel, type NodeLayouts, outputOf, type PoolAttributes, resultBounds, type Schedule } from "../../ops/index.ts";
import { clearBorder } from "./border.ts";
import { type ByteForm, clampFloats, isActivation, storeFloats } from "./layer.ts";

/** The sum of a window's stored values over the window, half away from zero: division drops what is left over. */
function meanOf(sum: Expr, count: number): Expr {
  const half = count >> 1;
  return sum.gt(0).select(sum.add(half), sum.sub(half)).div(count);
}

/** Sums of a block of channels over a window, as many vectors as the layout's elements need. */
function windowSums(k: KernelBuilder, a: PoolAttributes, from: Images, input: Buffer, first: Expr, bytes: boolean): Variable[] {
  const sums = (bytes ? [0, 1] : [0]).map(() => k.variable("sum", constant(0, bytes ? "i32x4" : "f32x4")));
  k.for("ky", 0, k.int("filter_h", a.filterH), (ky) =>
    k.for("kx", 0, k.int("filter_w", a.filterW), (kx) => {
      const at = first.add(ky.mul(k.int("in_row", from.row))).add(kx.mul(k.int("channels", from.channels)));
      const x = k.let("values", vectorLoad(bytes ? "i16x8" : "f32x4", input, at, input.type === "u8" ? "widen8u" : "full"));
      if (bytes) {
        for (const [half, op] of (["i32x4.extend_low_i16x8_s", "i32x4.extend_high_i16x8_s"] as const).entries())
          sums[half]!.set(vector("i32x4.add", [sums[half]!.get(), vector(op, [x])]));
      } else sums[0]!.set(vector("f32x4.add", [sums[0]!.get(), x]));
    }),
  );
  return sums;
}

/** Stores the means of a block of channels. */
type StoreMeans = (sums: readonly Variable[], at: Expr) => void;

function byteMeans(k: KernelBuilder, node: Node, output: Buffer, layouts: NodeLayouts): StoreMeans {
  const a = attributesOf<PoolAttributes>(node);
  const { low, high } = resultBounds(node, a.activation);
  const lanes = k.scratch("lanes", "i32", 8);
  const count = a.filterH * a.filterW;
  // Elements are less what their layout takes off, which the mean is not.
  const zeros = k.int("zeros", count * layouts.inputs[0]!.zeroPoint);
  return (sums, at) => {
    sums.forEach((sum, half) => k.emit({ kind: "vectorStore", buffer: lanes, index: constant(4 * half, "i32"), value: sum.get(), form: "full" }));
    k.for("lane", 0, 8, (lane) => {
      const mean = meanOf(k.let("total", lanes.load(lane).add(zeros)), count).clamp(k.int("low", low), k.int("high", high));
      output.store(at.add(lane), mean.sub(layouts.outputs[0]!.zeroPoint));
    });
  };
}

function floatMeans(k: KernelBuilder, node: Node, output: Buffer): StoreMeans {
  const { filterH, filterW } = attributesOf<PoolAttributes>(node);
  return ([sum], at) => {
    const mean = vector("f32x4.div", [sum!.get(), vector("f32x4.splat", [k.float("count", filterH * filterW)])]);
    storeFloats(k, output, at, clampFloats(k, node, mean), 4);
  };
}

function poolKernel(k: KernelBuilder, node: Node, layouts: NodeLayouts): KernelInstance {
  const a = attributesOf<PoolAttributes>(node);
  const [from, to] = [imagesOf(inputOf(node, 0).shape, layouts.inputs[0]!), imagesOf(outputOf(node).shape, layouts.outputs[0]!)];
  const bytes = outputOf(node).dtype !== "float32";
  const [input, output, total] = [k.input(0, "x"), k.output(0, "y"), k.int("channels", from.channels)];
  const store = bytes ? byteMeans(k, node, output, layouts) : floatMeans(k, node, output);
  const width = lanesOf(node);
  k.for("n", 0, k.int("batches", to.batches), (n) =>
    k.for("oy", 0, k.int("out_h", to.height), (oy) =>
      k.for("ox", 0, k.int("out_w", to.width), (ox) => {
        const line = n.mul(k.int("in_image", from.image)).add(oy.mul(k.int("in_step", a.strideH * from.row)));
        const window = k.let("window", line.add(ox.mul(k.int("step", a.strideW * from.channels))).add(k.int("in_first", from.first)));
        const row = n.mul(k.int("out_image", to.image)).add(oy.mul(k.int("out_row", to.row)));
        const at = k.let("at", row.add(ox.mul(total)).add(k.int("out_first", to.first)));
        k.for(
          "block",
          0,
          total,
          (block) => {
            const c = from.channels % width === 0 ? block : k.let("c", block.min(total.sub(width)));
            store(windowSums(k, a, from, input, window.add(c), bytes), at.add(c));
          },
          width,
        );
      }),
    ),
  );
  clearBorder(k, output, layouts.outputs[0]!, to);
  return k.finish(`average_pool_${bytes ? "s8" : "f32"}_simd`, "Average over windows inside the input, a vector of channels at a time.");
}

/** Channels computed together: one vector of inputs. */
function lanesOf(node: Node): number {
  return outputOf(node).dtype === "float32" ? 4 : 8;
}

/** Windows that lie inside the input, so that all have the same number of elements. */
export const averagePoolScheduleFor =
  (form: ByteForm): Schedule =>
  (node) => {
    const a = attributesOf<PoolAttributes>(node);
    const [x, y] = [inputOf(node, 0), outputOf(node)];
    const known = isActivation(x) && x.dtype === y.dtype && (x.dtype === "int8" || x.dtype === "uint8" || x.dtype === "float32");
    const inside = a.padTop + a.padBottom + a.padLeft + a.padRight === 0;
    if (!known || !inside || x.shape[3]! < lanesOf(node) || a.activation === "tanh") return undefined;
    const kernel: Kernel = (k, layouts) => poolKernel(k, node, layouts);
    return Object.assign(kernel, { reads: [{ border: NO_BORDER, tail: 0, unsigned: form === "dots" }], writesAny: true });
  };
