import type { Node } from "../graph/index.ts";
import type { Expr, KernelBuilder } from "../loops/index.ts";
import { inputOf, suffixOf, unsupportedTypes } from "./op.ts";

/** Loads an element as the real number that it stands for. `channel` counts along the axis of the scales, and is not asked for otherwise. */
export type RealLoad = (at: Expr, channel: Expr) => Expr;

/** An operand of a gradient: floats as they are, int8 by its scales. So a network of integers keeps its activations as bytes until then. */
export function realInput(k: KernelBuilder, node: Node, index: number, name: string): RealLoad {
  const value = inputOf(node, index);
  const buffer = k.input(index, name);
  if (value.dtype === "float32") return (at) => buffer.load(at);
  if (value.dtype !== "int8" || value.quantization === undefined) throw unsupportedTypes(node);
  const { scales, zeroPoints } = value.quantization;
  if (zeroPoints.some((zero) => zero !== zeroPoints[0])) throw unsupportedTypes(node);
  const zero = k.int(`${name}_zero_point`, zeroPoints[0]!);
  const table = scales.length > 1 ? k.constant(`${name}_scales`, "f32", Float32Array.from(scales)) : null;
  const scale = table === null ? k.float(`${name}_scale`, scales[0]!) : null;
  return (at, channel) =>
    buffer
      .load(at)
      .sub(zero)
      .to("f32")
      .mul(scale ?? table!.load(channel));
}

/** Ends the name of a kernel: the types of its operands, or the one that they share. */
export function realSuffix(node: Node): string {
  return [...new Set(node.inputs.map((value) => suffixOf(value!.dtype)))].join("_");
}

/** @throws KingletError `unsupported` where a result, or one of the inputs that are not `real`, is not float32. */
export function needFloats(node: Node, real: readonly number[] = []): void {
  const floats = [...node.inputs.filter((_, i) => !real.includes(i)), ...node.outputs];
  if (floats.some((value) => value?.dtype !== "float32")) throw unsupportedTypes(node);
}
