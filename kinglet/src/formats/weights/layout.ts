import { elementCount, type Shape, stridesOf } from "../../base/index.ts";
import type { Slot } from "./slots.ts";
import type { WeightLayout } from "./tensors.ts";

/** Which dimension of a stored convolution each of ours is: conv2d [out, h, w, in], depthwise [1, h, w, channels]. */
const ORDERS: Readonly<Record<WeightLayout, Readonly<Record<string, readonly number[]>>>> = {
  // [out, in, h, w]; depthwise [channels, 1, h, w]
  pytorch: { conv2d: [0, 2, 3, 1], depthwiseConv2d: [1, 2, 3, 0] },
  // [h, w, in, out]; depthwise [h, w, channels, 1]
  keras: { conv2d: [3, 0, 1, 2], depthwiseConv2d: [3, 0, 1, 2] },
};
/** Ours is [out, in]. */
const DENSE: Readonly<Record<WeightLayout, readonly number[]>> = { pytorch: [0, 1], keras: [1, 0] };

/** A convolution's window: absent in dense layers (1 × 1), of one dimension in those over time (length × 1). */
function withWindow(shape: Shape, layout: WeightLayout): Shape {
  if (layout === "pytorch") return shape.length === 2 ? [...shape, 1, 1] : shape.length === 3 ? [...shape, 1] : shape;
  return shape.length === 2 ? [1, 1, ...shape] : shape.length === 3 ? [shape[0]!, 1, ...shape.slice(1)] : shape;
}

/**
 * A shape of weights in a file's layout, alike for all ways to store the same: a 1 × 1 convolution may be a dense layer and a
 * sequence's convolution one over a map.
 */
export function canonicalShape(shape: Shape, layout: WeightLayout): Shape {
  const whole = withWindow(shape, layout);
  if (whole.length !== 4) return shape;
  const [window, rest] = layout === "pytorch" ? [whole.slice(2), whole.slice(0, 2)] : [whole.slice(0, 2), whole.slice(2)];
  return window.every((size) => size === 1) ? rest : whole;
}

/** Which dimension of a file's tensor, in the shape as it counts, each of ours is. */
function orderOf({ op, role }: Slot, shape: Shape, layout: WeightLayout): { readonly order: readonly number[]; readonly stored: Shape } {
  if (role !== "weights") return { order: shape.map((_, i) => i), stored: shape };
  return op === "fullyConnected"
    ? { order: DENSE[layout], stored: canonicalShape(shape, layout) }
    : { order: ORDERS[layout][op]!, stored: withWindow(shape, layout) };
}

/** The shape that a slot's tensor has in a file, as `canonicalShape` gives it. */
export function storedShape(slot: Slot, layout: WeightLayout): Shape {
  const { order } = orderOf(slot, slot.shape, layout);
  const stored = new Array<number>(order.length);
  order.forEach((dim, i) => (stored[dim] = slot.shape[i]!));
  return slot.role === "weights" ? canonicalShape(stored, layout) : stored;
}

/** A file's shape in our layout; as it is where it has another number of dimensions. */
export function shapeInOurs(slot: Slot, shape: Shape, layout: WeightLayout): Shape {
  const { order, stored } = orderOf(slot, shape, layout);
  return stored.length === order.length ? order.map((dim) => stored[dim]!) : shape;
}

/** The elements of a tensor in our layout; its shape must be the slot's there. */
export function inOurLayout(slot: Slot, shape: Shape, data: Float32Array, layout: WeightLayout): Float32Array {
  const { order, stored } = orderOf(slot, shape, layout);
  if (order.every((dim, i) => dim === i)) return data;
  const [ours, strides] = [order.map((dim) => stored[dim]!), stridesOf(stored)];
  const steps = order.map((dim) => strides[dim]!);
  const out = new Float32Array(elementCount(ours));
  let at = 0;
  const visit = (axis: number, from: number): void => {
    if (axis === ours.length) out[at++] = data[from]!;
    else for (let i = 0; i < ours[axis]!; i++) visit(axis + 1, from + i * steps[axis]!);
  };
  visit(0, 0);
  return out;
}
