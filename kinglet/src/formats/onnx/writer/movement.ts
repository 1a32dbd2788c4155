import { elementCount, identityPermutation, type Permutation, permuted, sameShape } from "../../../base/index.ts";
import type { Quantization, Value } from "../../../graph/index.ts";
import { type Activation, attributesOf, type PadAttributes, type SliceAttributes, type StridedSliceAttributes } from "../../../ops/index.ts";
import { int, ints, text } from "./attributes.ts";
import type { NodeWriter } from "./node-writer.ts";
import type { Tensor } from "./parts.ts";
import { images, type WriteRules } from "./rule.ts";

const FIRST = [0, 3, 1, 2];

/** The same elements under another shape; what only gives integers a scale needs no operator. */
function reshape(w: NodeWriter): void {
  const [x, y] = [w.input(0), w.output()];
  const scaled = (x.quantization === undefined) !== (y.quantization === undefined);
  const tensor = w.inOrder(0, scaled ? "stored" : "real");
  if (scaled && sameShape(tensor.shape, y.shape)) w.giveStored(tensor);
  else if (scaled) w.giveStored(w.reshape(tensor, y.shape));
  else w.give(w.reshape(tensor, y.shape));
}

function concatenation(w: NodeWriter): void {
  const { axis, activation } = w.attributes<{ axis: number; activation?: Activation }>();
  const order = w.layout();
  const parts = w.node.inputs.map((_, i) => w.real(i, order));
  w.give(w.activated(w.emit("Concat", parts, w.shape(order), [int("axis", order.indexOf(axis))]), activation), order);
}

function split(w: NodeWriter): void {
  const { axis, sizes } = w.attributes<{ axis: number; sizes: number[] }>();
  const order = w.inputLayout();
  const outputs = sizes.map((_, i) => ({ element: w.element, shape: w.shape(order, i) }));
  const parts = w.emitAll("Split", [w.real(0, order), w.longs(sizes)], outputs, [int("axis", order.indexOf(axis))]);
  parts.forEach((part, i) => w.give(part, order, i));
}

function pack(w: NodeWriter): void {
  const { axis } = w.attributes<{ axis: number }>();
  const shape = w.shape().map((size, d) => (d === axis ? 1 : size));
  const parts = w.node.inputs.map((_, i) => w.emit("Unsqueeze", [w.real(i), w.longs([axis])], shape));
  w.give(parts.length === 1 ? parts[0]! : w.emit("Concat", parts, w.shape(), [int("axis", axis)]));
}

function unpack(w: NodeWriter): void {
  const { axis } = w.attributes<{ axis: number }>();
  const shape = w.input(0).shape.map((size, d) => (d === axis ? 1 : size));
  const outputs = w.node.outputs.map(() => ({ element: w.element, shape }));
  const sizes = w.longs(outputs.map(() => 1));
  const parts = outputs.length === 1 ? [w.real(0)] : w.emitAll("Split", [w.real(0), sizes], outputs, [int("axis", axis)]);
  parts.forEach((part, i) => w.give(w.emit("Squeeze", [part, w.longs([axis])], w.shape(undefined, i)), undefined, i));
}

/** Elements from `begin` on, `count` of them; a count backwards to the very first ends before it. */
function sliced(
  w: NodeWriter,
  x: Tensor,
  order: Permutation,
  begin: readonly number[],
  strides: readonly number[],
  count: readonly number[],
): Tensor {
  const axes = count.flatMap((size, d) => (size === w.input(0).shape[d] && strides[d] === 1 ? [] : [d]));
  if (axes.length === 0) return w.emit("Identity", [x], permuted(count, order));
  const ends = axes.map((d) => {
    const end = begin[d]! + count[d]! * strides[d]!;
    return end < 0 ? -(2 ** 31) : end;
  });
  const places = axes.map((d) => order.indexOf(d));
  const steps = axes.map((d) => strides[d]!);
  const indices = [axes.map((d) => begin[d]!), ends, places].map((list) => w.longs(list));
  return w.emit("Slice", [x, ...indices, ...(steps.every((step) => step === 1) ? [] : [w.longs(steps)])], permuted(count, order));
}

function slice(w: NodeWriter): void {
  const { begin, size } = w.attributes<SliceAttributes>();
  const order = w.inputLayout();
  w.give(
    sliced(
      w,
      w.real(0, order),
      order,
      begin,
      begin.map(() => 1),
      size,
    ),
    order,
  );
}

function stridedSlice(w: NodeWriter): void {
  const { begin, strides, shape, newShape } = w.attributes<StridedSliceAttributes>();
  const order = sameShape(shape, newShape) ? w.inputLayout() : identityPermutation(shape.length);
  const cut = sliced(w, w.real(0, order), order, begin, strides, shape);
  w.give(sameShape(shape, newShape) ? cut : w.reshape(cut, newShape), sameShape(shape, newShape) ? order : undefined);
}

/** The number that a stored one stands for. */
function realNumber(stored: number, quantization: Quantization | undefined): number {
  return quantization === undefined ? stored : Math.fround((stored - quantization.zeroPoints[0]!) * quantization.scales[0]!);
}

function pad(w: NodeWriter): void {
  const { before, after, value } = w.attributes<PadAttributes>();
  const order = w.inputLayout();
  const pads = w.longs([...permuted(before, order), ...permuted(after, order)]);
  const number = value === undefined ? 0 : realNumber(value, w.output().quantization);
  w.give(w.emit("Pad", [w.real(0, order), pads, ...(number === 0 ? [] : [w.number(number)])], w.shape(order)), order);
}

/** Reflections that leave the border single are one operator; where it is repeated, elements are gathered along each axis. */
function mirrorPad(w: NodeWriter): void {
  const { before, after, mode } = w.attributes<PadAttributes & { mode: "reflect" | "symmetric" }>();
  const order = w.inputLayout();
  const x = w.real(0, order);
  if (mode === "reflect") {
    const pads = w.longs([...permuted(before, order), ...permuted(after, order)]);
    return w.give(w.emit("Pad", [x, pads], w.shape(order), [text("mode", "reflect")]), order);
  }
  const padded = x.shape.reduce<Tensor>((y, size, d) => {
    const [front, back] = [before[order[d]!]!, after[order[d]!]!];
    if (front + back === 0) return y;
    const indices = Array.from({ length: size + front + back }, (_, i) => mirrored(i - front, size));
    return w.emit("Gather", [y, w.longs(indices)], y.shape.with(d, indices.length), [int("axis", d)]);
  }, x);
  w.give(padded, order);
}

const mirrored = (at: number, size: number): number => (at < 0 ? -1 - at : at < size ? at : 2 * size - 1 - at);

function tile(w: NodeWriter): void {
  const order = w.inputLayout();
  w.give(w.emit("Tile", [w.real(0, order), w.longs(permuted(w.attributes<{ multiples: number[] }>().multiples, order))], w.shape(order)), order);
}

/** Indices as ONNX takes them, which may count from the end: without what makes them positive. */
function indices(w: NodeWriter, size: number): Tensor {
  const wrapped = w.madeBy(w.input(1), "select");
  const [negative, moved, plain] = wrapped?.inputs ?? [];
  const [less, add] = [w.madeBy(negative, "less"), w.madeBy(moved, "add")];
  const isConstant = (value: Value | null | undefined, number: number): boolean => value?.data?.length === 1 && Number(value.data[0]) === number;
  const wraps = less?.inputs[0] === plain && isConstant(less?.inputs[1], 0) && add?.inputs[0] === plain && isConstant(add?.inputs[1], size);
  return wraps && plain ? w.storedValue(plain) : w.stored(1);
}

function gather(w: NodeWriter): void {
  const { axis } = w.attributes<{ axis: number }>();
  const isVector = w.input(1).shape.length === 1;
  const order = isVector ? w.inputLayout() : undefined;
  const x = w.real(0, order);
  w.give(w.emit("Gather", [x, indices(w, w.input(0).shape[axis]!)], w.shape(order), [int("axis", order?.indexOf(axis) ?? axis)]), order);
}

/** Rows of updates into a tensor that is seen as rows. */
function scatter(w: NodeWriter): void {
  const { reduction } = w.attributes<{ reduction: string }>();
  const places = w.reshape(w.cast(w.stored(1), "int64"), [elementCount(w.input(1).shape), 1]);
  w.give(w.emit("ScatterND", [w.real(0), places, w.real(2)], w.shape(), reduction === "none" ? [] : [text("reduction", reduction)]));
}

const SCATTER_SINCE: Readonly<Record<string, number>> = { add: 16, mul: 16, max: 18, min: 18 };

/** Rows and columns of blocks become channels, or the other way round. */
function blocks(w: NodeWriter, op: "DepthToSpace" | "SpaceToDepth"): void {
  w.give(w.emit(op, [w.real(0, FIRST)], w.shape(FIRST), [int("blocksize", w.attributes<{ block: number }>().block)]), FIRST);
}

interface BatchAttributes {
  readonly block: readonly number[];
}

/** Spatial blocks become further images: the block's place comes before the batch. */
function spaceToBatch(w: NodeWriter): void {
  const { block, before, after } = w.attributes<BatchAttributes & PadAttributes>();
  const rank = w.input(0).shape.length;
  const rest = new Array<number>(rank - 1 - block.length).fill(0);
  const [front, back] = [before, after].map((list) => [0, ...list, ...rest]) as [number[], number[]];
  const bordered = w.input(0).shape.map((size, d) => size + front[d]! + back[d]!);
  const x = [...front, ...back].some((amount) => amount !== 0) ? w.emit("Pad", [w.real(0), w.longs([...front, ...back])], bordered) : w.real(0);
  const apart = bordered.flatMap((size, d) => (d >= 1 && d <= block.length ? [size / block[d - 1]!, block[d - 1]!] : [size]));
  const inner = block.map((_, i) => 2 + 2 * i);
  const outer = identityPermutation(apart.length).filter((d) => d > 0 && !inner.includes(d));
  const order = [...inner, 0, ...outer];
  const turned = w.emit("Transpose", [w.reshape(x, apart)], permuted(apart, order), [ints("perm", order)]);
  w.give(w.reshape(turned, w.shape()));
}

function batchToSpace(w: NodeWriter): void {
  const { block, cropsBefore, cropsAfter } = w.attributes<BatchAttributes & { cropsBefore: number[]; cropsAfter: number[] }>();
  const { shape } = w.input(0);
  const count = block.length;
  const images = shape[0]! / elementCount(block);
  const apart = [...block, images, ...shape.slice(1)];
  const order = [count, ...block.flatMap((_, i) => [count + 1 + i, i]), ...shape.slice(1 + count).map((_, i) => 2 * count + 1 + i)];
  const turned = w.emit("Transpose", [w.reshape(w.real(0), apart)], permuted(apart, order), [ints("perm", order)]);
  const whole = [images, ...block.map((size, i) => size * shape[1 + i]!), ...shape.slice(1 + count)];
  const joined = w.reshape(turned, whole);
  if ([...cropsBefore, ...cropsAfter].every((amount) => amount === 0)) return w.give(joined);
  const axes = block.map((_, i) => 1 + i);
  const ends = axes.map((d, i) => whole[d]! - cropsAfter[i]!);
  w.give(w.emit("Slice", [joined, w.longs(cropsBefore), w.longs(ends), w.longs(axes)]));
}

export const MOVEMENT: WriteRules = {
  reshape: { write: reshape },
  concatenation: { write: concatenation },
  split: { write: split },
  pack: { write: pack },
  unpack: { write: unpack },
  slice: { write: slice },
  stridedSlice: { write: stridedSlice },
  pad: { write: pad },
  mirrorPad: { write: mirrorPad },
  tile: { write: tile },
  broadcastTo: { write: (w) => w.give(w.emit("Expand", [w.real(0), w.longs(w.shape())])) },
  fill: { write: (w) => w.give(w.emit("Expand", [w.real(0), w.longs(w.shape())])) },
  spaceToBatch: { write: spaceToBatch },
  batchToSpace: { write: batchToSpace },
  depthToSpace: images((w) => blocks(w, "DepthToSpace")),
  spaceToDepth: images((w) => blocks(w, "SpaceToDepth")),
  gather: {
    write: gather,
    obstacle: (node) => (attributesOf<{ batchDims: number }>(node).batchDims === 0 ? undefined : "ONNX gathers from all batches alike"),
  },
  gatherNd: { write: (w) => w.give(w.emit("GatherND", [w.real(0), w.cast(w.stored(1), "int64")])) },
  embeddingLookup: { write: (w) => w.give(w.emit("Gather", [w.real(1), w.stored(0)])) },
  scatter: { write: scatter, since: (node) => SCATTER_SINCE[attributesOf<{ reduction: string }>(node).reduction] ?? 13 },
};
