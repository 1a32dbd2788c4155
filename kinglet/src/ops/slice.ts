import { elementCount, type Shape, stridesOf } from "../base/index.ts";
import type { Node, ValueType } from "../graph/index.ts";
import type { KernelBuilder, KernelInstance } from "../loops/index.ts";
import { fillBuffer, MOVED_TYPES, movedType, moveBlock, offsetOf } from "./move.ts";
import { attributesOf, inputOf, type OpDef, outputOf, refuse, suffixOf, typeAt } from "./op.ts";

export interface SliceAttributes {
  readonly begin: readonly number[];
  readonly size: readonly number[];
}

/** `begin` is the first index of each dimension, `shape` the number of steps, `newShape` the output's shape. */
export interface StridedSliceAttributes {
  readonly begin: readonly number[];
  readonly strides: readonly number[];
  readonly shape: readonly number[];
  readonly newShape: readonly number[];
}

export interface PadAttributes {
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** The stored number; real zero where absent. */
  readonly value?: number;
}

function checkBox(op: string, x: ValueType, begin: readonly number[], strides: readonly number[], shape: readonly number[]): void {
  if (begin.length !== x.shape.length || shape.length !== x.shape.length)
    refuse(op, `[${x.shape.join(",")}] needs ${x.shape.length} begins and sizes`);
  shape.forEach((size, d) => {
    const last = begin[d]! + (size - 1) * strides[d]!;
    if (size < 1 || Math.min(begin[d]!, last) < 0 || Math.max(begin[d]!, last) >= x.shape[d]!)
      refuse(op, `dimension ${d} of [${x.shape.join(",")}] has no elements ${begin[d]} to ${last}`);
  });
}

function cut(k: KernelBuilder, node: Node, begin: readonly number[], strides: readonly number[], shape: Shape): KernelInstance {
  const x = inputOf(node, 0);
  const from = stridesOf(x.shape);
  const input = k.input(0, "x");
  const source = { buffer: input, base: offsetOf(begin, from), strides: from.map((stride, d) => stride * strides[d]!) };
  moveBlock(k, "", shape, { buffer: k.output(0, "y"), base: 0, strides: stridesOf(shape) }, source);
  return k.finish(`slice_${suffixOf(x.dtype)}`, "Cuts a box out of a tensor.");
}

export const slice: OpDef = {
  name: "slice",
  infer(inputs, attributes) {
    const x = typeAt("slice", inputs, 0);
    const { begin, size } = attributesOf<SliceAttributes>({ attributes });
    checkBox(
      "slice",
      x,
      begin,
      begin.map(() => 1),
      size,
    );
    return [{ dtype: x.dtype, shape: size, ...(x.quantization?.scales.length === 1 ? { quantization: x.quantization } : {}) }];
  },
  loops(k, node) {
    const { begin, size } = attributesOf<SliceAttributes>(node);
    return cut(
      k,
      node,
      begin,
      begin.map(() => 1),
      size,
    );
  },
  cases: MOVED_TYPES.map((dtype) => ({
    name: dtype,
    attributes: { begin: [0, 1, 1], size: [2, 2, 2] },
    inputs: [movedType(dtype, [2, 4, 3])],
    outputs: [movedType(dtype, [2, 2, 2])],
  })),
};

export const stridedSlice: OpDef = {
  name: "stridedSlice",
  infer(inputs, attributes) {
    const x = typeAt("stridedSlice", inputs, 0);
    const { begin, strides, shape, newShape } = attributesOf<StridedSliceAttributes>({ attributes });
    checkBox("stridedSlice", x, begin, strides, shape);
    if (elementCount(newShape) !== elementCount(shape))
      refuse("stridedSlice", `[${newShape.join(",")}] is not made of ${elementCount(shape)} elements`);
    return [{ dtype: x.dtype, shape: newShape }];
  },
  loops(k, node) {
    const { begin, strides, shape } = attributesOf<StridedSliceAttributes>(node);
    return cut(k, node, begin, strides, shape);
  },
  cases: MOVED_TYPES.map((dtype) => ({
    name: dtype,
    attributes: { begin: [1, 3, 0], strides: [1, -2, 1], shape: [1, 2, 3], newShape: [2, 3] },
    inputs: [movedType(dtype, [2, 4, 3])],
    outputs: [movedType(dtype, [2, 3])],
  })),
};

function checkPads(op: string, x: ValueType, a: PadAttributes): number[] {
  if (a.before.length !== x.shape.length || a.after.length !== x.shape.length)
    refuse(op, `[${x.shape.join(",")}] needs ${x.shape.length} pairs of padding`);
  if ([...a.before, ...a.after].some((pad) => !(pad >= 0))) refuse(op, "padding must not be negative");
  return x.shape.map((size, d) => a.before[d]! + size + a.after[d]!);
}

export const pad: OpDef = {
  name: "pad",
  infer(inputs, attributes) {
    const x = typeAt("pad", inputs, 0);
    return [{ dtype: x.dtype, shape: checkPads("pad", x, attributesOf<PadAttributes>({ attributes })) }];
  },
  loops(k, node) {
    const a = attributesOf<PadAttributes>(node);
    const [x, y] = [inputOf(node, 0), outputOf(node)];
    const input = k.input(0, "x");
    const output = k.output(0, "y");
    const strides = stridesOf(y.shape);
    fillBuffer(k, output, elementCount(y.shape), a.value ?? y.quantization?.zeroPoints[0] ?? 0);
    moveBlock(
      k,
      "",
      x.shape,
      { buffer: output, base: offsetOf(a.before, strides), strides },
      { buffer: input, base: 0, strides: stridesOf(x.shape) },
    );
    return k.finish(`pad_${suffixOf(x.dtype)}`, "Surrounds a tensor with one number.");
  },
  cases: [
    ...MOVED_TYPES.map((dtype) => ({
      name: dtype as string,
      attributes: { before: [0, 1, 2], after: [0, 2, 0] },
      inputs: [movedType(dtype, [2, 2, 3])],
      outputs: [movedType(dtype, [2, 5, 5])],
    })),
    {
      name: "float with a value",
      attributes: { before: [1], after: [2], value: -1.5 },
      inputs: [movedType("float32", [3])],
      outputs: [movedType("float32", [6])],
    },
  ],
};
