import { allocate, type TypedArray } from "../base/index.ts";
import type { Value, ValueType } from "../graph/index.ts";

/** Some channels of a constant: what builders of graphs take. */
export interface Part {
  readonly type: ValueType;
  readonly data: TypedArray;
}

/** Channels `from` to `to` of the last dimension. */
function partOf({ dtype, shape, quantization, data }: Value, from: number, to: number): Part {
  const [width, rows] = [shape.at(-1)!, data!.length / shape.at(-1)!];
  const part = allocate(dtype, rows * (to - from));
  for (let row = 0; row < rows; row++) part.set(data!.subarray(row * width + from, row * width + to) as never, row * (to - from));
  return { type: { dtype, shape: [...shape.slice(0, -1), to - from], quantization }, data: part };
}

/** A constant's first channels, and those behind them, if there are any. Scales must not run along the channels. */
export function splitChannels(constant: Value, count: number): { readonly head: Part; readonly rest: Part | null } {
  const { dtype, shape, quantization, data } = constant;
  const width = shape.at(-1) ?? 1;
  if (count >= width) return { head: { type: { dtype, shape, quantization }, data: data! }, rest: null };
  return { head: partOf(constant, 0, count), rest: partOf(constant, count, width) };
}

/** The constant's contents with others in its first channels. */
export function joinChannels({ dtype, shape, data }: Value, head: TypedArray): TypedArray {
  if (head.length === data!.length) return head;
  const [width, rows] = [shape.at(-1)!, data!.length / shape.at(-1)!];
  const whole = allocate(dtype, data!.length);
  whole.set(data as never);
  for (let row = 0; row < rows; row++) whole.set(head.subarray((row * head.length) / rows, ((row + 1) * head.length) / rows) as never, row * width);
  return whole;
}
