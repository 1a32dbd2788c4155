import type { Node } from "../../graph/index.ts";
import { type Expr, intrinsic, type KernelBuilder, type KernelInstance } from "../../loops/index.ts";
import { inputOf, outputOf, quantizationOf, type Schedule } from "../../ops/index.ts";

/** Twice the quotient beyond this is far outside int8, and its integer arithmetic cannot overflow. */
const LIMIT = 2 ** 20;

/**
 * float32 to int8 with the rounding done on integers: t = 2x / scale, cut off towards zero, is even or odd as x / scale lies
 * before or after a half, so (t + (t < 0 ? −1 : 0) + 1) / 2 rounds half away from zero. Dividing by half the scale
 * doubles the quotient without another rounding.
 */
function quantizeKernel(k: KernelBuilder, node: Node): KernelInstance {
  const { scale, zeroPoint } = quantizationOf(node, outputOf(node));
  const x = k.input(0, "x");
  const y = k.output(0, "y");
  const halfScale = k.float("half_scale", Math.fround(scale) / 2);
  const rounding = k.int("rounding", 1 + 2 * zeroPoint);
  const count = outputOf(node).shape.reduce((p, d) => p * d, 1);
  const element = (i: Expr): void => {
    const doubled = k.let("doubled", x.load(i).div(halfScale).clamp(-LIMIT, LIMIT).to("i32"));
    y.store(i, intrinsic("saturate8", doubled.add(doubled.shr(31)).add(rounding).shr(1)));
  };
  k.for("i", 0, k.int("count", count), element);
  return k.finish("quantize_f32_s8_rounded", "Real numbers to int8, rounded on integers.");
}

/** Quantization of real inputs to int8. */
export const quantizeSchedule: Schedule = (node) => {
  const scale = outputOf(node).quantization?.scales[0] ?? 0;
  const plain =
    node.attributes["ties"] !== "even" &&
    inputOf(node, 0).dtype === "float32" &&
    outputOf(node).dtype === "int8" &&
    scale > 2 ** -100 &&
    scale < 2 ** 100;
  return plain ? (k) => quantizeKernel(k, node) : undefined;
};
