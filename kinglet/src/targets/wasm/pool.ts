import type { Node } from "../../graph/index.ts";
import { constant, type Expr, imagesOf, type KernelBuilder, type KernelInstance, NO_BORDER, vector, vectorLoad } from "../../loops/index.ts";
import {
  attributesOf,
  inputOf,
  type Kernel,
  type NodeLayouts,
  outputOf,
  type PoolAttributes,
  quantizationOf,
  resultBounds,
  type Schedule,
} from "../../ops/index.ts";
import { clearBorder } from "./border.ts";
import { isActivation } from "./layer.ts";

/** Channels computed together. */
const LANES = 8;

/** The sum of a window's stored values over the window, half away from zero: division drops what is left over. */
function meanOf(sum: Expr, count: number): Expr {
  const half = count >> 1;
  return sum.gt(0).select(sum.add(half), sum.sub(half)).div(count);
}

function poolKernel(k: KernelBuilder, node: Node, layouts: NodeLayouts): KernelInstance {
  const a = attributesOf<PoolAttributes>(node);
  const [from, to] = [imagesOf(inputOf(node, 0).shape, layouts.inputs[0]!), imagesOf(outputOf(node).shape, layouts.outputs[0]!)];
  const { low, high } = resultBounds(node, a.activation);
  const [input, output, lanes] = [k.input(0, "x"), k.output(0, "y"), k.scratch("lanes", "i32", LANES)];
  const count = a.filterH * a.filterW;
  // Inputs are less their zero point, which the mean is not.
  const zeros = k.int("zeros", count * quantizationOf(node, inputOf(node, 0)).zeroPoint);
  const total = k.int("channels", from.channels);
  const blocks = (window: Expr, at: Expr): void =>
    k.for(
      "block",
      0,
      total,
      (block) => {
        const c = from.channels % LANES === 0 ? block : k.let("c", block.min(total.sub(LANES)));
        const sums = (["i32x4.extend_low_i16x8_s", "i32x4.extend_high_i16x8_s"] as const).map((half) => ({
          half,
          sum: k.variable("sum", constant(0, "i32x4")),
        }));
        k.for("ky", 0, k.int("filter_h", a.filterH), (ky) =>
          k.for("kx", 0, k.int("filter_w", a.filterW), (kx) => {
            const x = k.let(
              "values",
              vectorLoad(
                "i16x8",
                input,
                window
                  .add(c)
                  .add(ky.mul(k.int("in_row", from.row)))
                  .add(kx.mul(total)),
              ),
            );
            for (const { half, sum } of sums) sum.set(vector("i32x4.add", [sum.get(), vector(half, [x])]));
          }),
        );
        sums.forEach(({ sum }, half) =>
          k.emit({ kind: "vectorStore", buffer: lanes, index: constant(4 * half, "i32"), value: sum.get(), form: "full" }),
        );
        k.for("lane", 0, LANES, (lane) => {
          const mean = meanOf(k.let("total", lanes.load(lane).add(zeros)), count).clamp(k.int("low", low), k.int("high", high));
          output.store(at.add(c).add(lane), mean.sub(layouts.outputs[0]!.zeroPoint));
        });
      },
      LANES,
    );
  k.for("n", 0, k.int("batches", to.batches), (n) =>
    k.for("oy", 0, k.int("out_h", to.height), (oy) =>
      k.for("ox", 0, k.int("out_w", to.width), (ox) => {
        const window = n
          .mul(k.int("in_image", from.image))
          .add(oy.mul(a.strideH * from.row))
          .add(ox.mul(a.strideW * from.channels));
        const at = n.mul(k.int("out_image", to.image)).add(oy.mul(to.row)).add(ox.mul(total));
        blocks(k.let("window", window.add(k.int("in_first", from.first))), k.let("at", at.add(k.int("out_first", to.first))));
      }),
    ),
  );
  clearBorder(k, output, layouts.outputs[0]!, to);
  return k.finish("average_pool_s8_simd", "Average over windows inside the input, eight channels at a time.");
}

/** Windows of bytes that lie inside the input, so that all have the same number of elements. */
export const averagePoolSchedule: Schedule = (node) => {
  const a = attributesOf<PoolAttributes>(node);
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  const bytes = isActivation(x) && x.dtype === y.dtype && (x.dtype === "int8" || x.dtype === "uint8");
  const inside = a.padTop + a.padBottom + a.padLeft + a.padRight === 0;
  if (!bytes || !inside || x.shape[3]! < LANES || a.activation === "tanh") return undefined;
  const kernel: Kernel = (k, layouts) => poolKernel(k, node, layouts);
  return Object.assign(kernel, { reads: [{ border: NO_BORDER, tail: 0 }], writesAny: true });
};
