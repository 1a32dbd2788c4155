import type { Node } from "../../graph/index.ts";
import { type Buffer, compileHelper, type Expr, intrinsic, type KernelBuilder, type KernelInstance } from "../../loops/index.ts";
import {
  attributesOf,
  commonScale,
  type FusedAttributes,
  inputOf,
  type Multiplier,
  outputOf,
  quantizationOf,
  requantize,
  resultBounds,
  type Schedule,
} from "../../ops/index.ts";

const exact = compileHelper(requantize);

/** An addition by tables: y = limit((high + (high < 0 ? −1 : 0) + rounding) / 2^shift), high = (a's + b's) · multiplier / 2^32. */
export interface TableSum {
  /** Twice each operand on the common scale, by stored value + 128. */
  readonly a: Int32Array;
  readonly b: Int32Array;
  readonly multiplier: number;
  readonly shift: number;
  /** One half and the zero point, before the shift. */
  readonly rounding: number;
}

/** Twice what the specification makes of each stored number of an operand. */
function operandTable(zeroPoint: number, bits: number, factor: Multiplier, sign: number): Int32Array {
  return Int32Array.from({ length: 256 }, (_, i) => 2 * sign * exact((i - 128 - zeroPoint) * 2 ** bits, factor.multiplier, factor.shift));
}

function largest(table: Int32Array): number {
  return table.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

/**
 * The tables of an int8 addition or subtraction. Twice the sum needs no shift in front of the high multiply, and half and
 * zero point are added once, before the last shift. Undefined where a word could leave 32 bits or the result shifts left.
 */
export function tableSum(node: Node): TableSum | undefined {
  const common = commonScale(node);
  const zeroPoint = (index: number): number => quantizationOf(node, inputOf(node, index)).zeroPoint;
  const a = operandTable(zeroPoint(0), common.bits, common.a, 1);
  const b = operandTable(zeroPoint(1), common.bits, common.b, node.op === "sub" ? -1 : 1);
  const shift = -common.y.shift;
  const rounding = (quantizationOf(node, outputOf(node)).zeroPoint + 0.5) * 2 ** shift;
  const most = largest(a) + largest(b);
  if (shift < 1 || shift > 30 || most >= 2 ** 31 || most / 2 + 1 + Math.abs(rounding) >= 2 ** 31) return undefined;
  return { a, b, multiplier: common.y.multiplier, shift, rounding };
}

/** Fewer elements do not pay for 2 KB of tables. */
const FEWEST = 128;
const UNROLL = 4;

function fits(node: Node): boolean {
  const [a, b, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const same = [a, b].every((value) => value.data === undefined && value.shape.join() === y.shape.join());
  return same && [a, b, y].every((value) => value.dtype === "int8") && y.shape.reduce((p, d) => p * d, 1) >= FEWEST;
}

function sumKernel(k: KernelBuilder, node: Node, sum: TableSum): KernelInstance {
  const count = outputOf(node).shape.reduce((p, d) => p * d, 1);
  const inputs = ["a", "b"].map((name, i) => k.input(i, name));
  const tables: Buffer[] = [k.constant("a_table", "i32", sum.a), k.constant("b_table", "i32", sum.b)];
  const y = k.output(0, "y");
  const [multiplier, rounding, shift] = [k.int("multiplier", sum.multiplier), k.int("rounding", sum.rounding), k.int("shift", sum.shift)];
  const { low, high } = resultBounds(node, attributesOf<Partial<FusedAttributes>>(node).activation ?? "none");
  const element = (at: Expr): void => {
    const [a, b] = inputs.map((input, i) => k.let(i === 0 ? "left" : "right", tables[i]!.load(input.load(at).add(128)))) as [Expr, Expr];
    const scaled = k.let("scaled", intrinsic("smmulr", a.add(b), multiplier));
    const result = scaled.add(scaled.shr(31)).add(rounding).shr(shift);
    y.store(at, low === -128 && high === 127 ? intrinsic("saturate8", result) : result.clamp(k.int("low", low), k.int("high", high)));
  };
  const whole = count - (count % UNROLL);
  const block = (i: Expr): void => {
    for (let j = 0; j < UNROLL; j++) element(i.add(j));
  };
  k.for("i", 0, k.int("whole", whole), block, UNROLL);
  if (whole < count) k.for("i", k.int("whole", whole), k.int("count", count), element);
  return k.finish(`${node.op}_table_s8`, "Sum of two maps: tables bring both to one scale.", { looseSizes: "all" });
}

/** Addition and subtraction of int8 maps of one shape, by tables. */
export const sumSchedule: Schedule = (node) => {
  if (!fits(node) || attributesOf<Partial<FusedAttributes>>(node).activation === "tanh") return undefined;
  const sum = tableSum(node);
  return sum === undefined ? undefined : (k) => sumKernel(k, node, sum);
};
