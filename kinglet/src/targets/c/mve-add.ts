import { elementCount } from "../../base/index.ts";
import type { Node } from "../../graph/index.ts";
import { type Buffer, type Expr, helium, type KernelBuilder, type KernelInstance, vectorLoad } from "../../loops/index.ts";
import { type CommonScale, commonScale, inputOf, type Multiplier, outputOf, type Schedule } from "../../ops/index.ts";
import { QUAD, resultForm, storedQuad } from "./mve-layer.ts";

/** Half of a number that 2^20 divides needs no rounding: one shift less. */
function isHalf({ multiplier, shift }: Multiplier): boolean {
  return multiplier === 2 ** 30 && shift === 0;
}

/** Four elements of an operand on the common scale. */
function alignedQuad(k: KernelBuilder, node: Node, index: number, source: Buffer, at: Expr, common: CommonScale): Expr {
  const name = index === 0 ? "a" : "b";
  const factor = index === 0 ? common.a : common.b;
  const offset = k.int(`${name}_offset`, -inputOf(node, index).quantization!.zeroPoints[0]!);
  const x = helium("addScalar", vectorLoad("i32x4", source, at, "widen4s"), offset);
  if (isHalf(factor)) return helium("mulScalar", x, k.int("half", 2 ** (common.bits - 1)));
  const high = helium("highMulScalar", helium("mulScalar", x, k.int("one", 2 ** common.bits)), k.int(`${name}_multiplier`, factor.multiplier));
  return factor.shift === 0 ? high : helium("roundingShiftScalar", helium("addSign", high), k.int(`${name}_shift`, factor.shift));
}

function addKernel(k: KernelBuilder, node: Node, common: CommonScale): KernelInstance {
  const [a, b] = [k.input(0, "a"), k.input(1, "b")];
  const output = k.output(0, "y");
  const form = resultForm(k, node);
  k.for(
    "i",
    0,
    k.int("count", elementCount(outputOf(node).shape)),
    (i) => {
      const sum = k.let("sum", helium("add", alignedQuad(k, node, 0, a, i, common), alignedQuad(k, node, 1, b, i, common)));
      const high = helium("highMulScalar", sum, k.int("y_multiplier", common.y.multiplier));
      const rounded = helium("roundingShiftScalar", form.clampsNegative ? high : helium("addSign", high), k.int("y_shift", common.y.shift));
      k.storeVector(output, i, storedQuad(k, form, rounded), "narrow");
    },
    QUAD,
  );
  return k.finish("add_s8_mve", "Element by element sum, four at a time.", { asWritten: true });
}

/** Sums of two int8 tensors of one shape, in whole quads. */
export const vectorAddSchedule: Schedule = (node) => {
  const [a, b, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const int8 = [a, b, y].every((value) => value.dtype === "int8");
  if (!int8 || a.shape.join() !== b.shape.join() || elementCount(y.shape) % QUAD !== 0) return undefined;
  const common = commonScale(node);
  const fits = common.y.shift <= -1 && common.y.shift >= -31 && [common.a, common.b].every(({ shift }) => shift <= 0 && shift >= -31);
  return fits ? (k) => addKernel(k, node, common) : undefined;
};
