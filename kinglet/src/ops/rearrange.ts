import { elementCount, stridesOf } from "../base/index.ts";
import type { Node } from "../graph/index.ts";
import { type Expr, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { emitMove, MOVABLE_TYPES, movable, type MoveLoop, moveLoops } from "./movement.ts";
import { attributesOf, inputOf, type OpDef, outputOf, refuse, suffixOf, typeAt } from "./op.ts";

function moveAll(k: KernelBuilder, node: Node, loops: readonly MoveLoop[], name: string, doc: string): KernelInstance {
  const input = k.input(0, "x");
  emitMove(k, { loops, fromStart: 0, toStart: 0 }, input, k.output(0, "y"));
  return k.finish(`${name}_${suffixOf(inputOf(node, 0).dtype)}`, doc);
}

export const transpose: OpDef = {
  name: "transpose",
  infer(inputs, attributes) {
    const x = typeAt("transpose", inputs, 0);
    const { permutation } = attributesOf<{ permutation: readonly number[] }>({ attributes });
    if ([...permutation].sort((a, b) => a - b).some((axis, d) => axis !== d) || permutation.length !== x.shape.length) refuse("transpose", `[${permutation.join(",")}] is not a permutation of ${x.shape.length} axes`);
    return [{ dtype: x.dtype, shape: permutation.map((axis) => x.shape[axis]!) }];
  },
  loops(k, node) {
    const { permutation } = attributesOf<{ permutation: readonly number[] }>(node);
    const from = stridesOf(inputOf(node, 0).shape);
    const y = outputOf(node).shape;
    return moveAll(k, node, moveLoops(y, permutation.map((axis) => from[axis]!), stridesOf(y)), "transpose", "Exchanges the axes of a tensor.");
  },
  cases: MOVABLE_TYPES.map((dtype) => ({ name: dtype, attributes: { permutation: [2, 0, 1] }, inputs: [movable(dtype, [2, 3, 4])], outputs: [movable(dtype, [4, 2, 3])] })),
};

export const tile: OpDef = {
  name: "tile",
  infer(inputs, attributes) {
    const x = typeAt("tile", inputs, 0);
    const { multiples } = attributesOf<{ multiples: readonly number[] }>({ attributes });
    if (multiples.length !== x.shape.length || multiples.some((m) => !(m >= 1))) refuse("tile", `[${x.shape.join(",")}] needs ${x.shape.length} multiples of at least 1`);
    return [{ dtype: x.dtype, shape: x.shape.map((size, d) => size * multiples[d]!) }];
  },
  loops(k, node) {
    const { multiples } = attributesOf<{ multiples: readonly number[] }>(node);
    const x = inputOf(node, 0).shape;
    const [from, to] = [stridesOf(x), stridesOf(outputOf(node).shape)];
    const loops = x.flatMap((size, d) => [{ size: multiples[d]!, from: 0, to: size * to[d]! }, { size, from: from[d]!, to: to[d]! }]);
    return moveAll(k, node, loops, "tile", "Repeats a tensor along its axes.");
  },
  cases: MOVABLE_TYPES.map((dtype) => ({ name: dtype, attributes: { multiples: [2, 1, 3] }, inputs: [movable(dtype, [2, 2, 2])], outputs: [movable(dtype, [4, 2, 6])] })),
};

export const broadcastTo: OpDef = {
  name: "broadcastTo",
  infer(inputs, attributes) {
    const x = typeAt("broadcastTo", inputs, 0);
    const { shape } = attributesOf<{ shape: readonly number[] }>({ attributes });
    const missing = shape.length - x.shape.length;
    if (missing < 0 || x.shape.some((size, d) => size !== 1 && size !== shape[d + missing])) refuse("broadcastTo", `[${x.shape.join(",")}] does not broadcast to [${shape.join(",")}]`);
    return [{ dtype: x.dtype, shape }];
  },
  loops(k, node) {
    const [x, y] = [inputOf(node, 0).shape, outputOf(node).shape];
    const missing = y.length - x.length;
    const strides = stridesOf(x);
    const from = y.map((_, d) => (d < missing || x[d - missing] === 1 ? 0 : strides[d - missing]!));
    return moveAll(k, node, moveLoops(y, from, stridesOf(y)), "broadcast", "Repeats a tensor to a larger shape.");
  },
  cases: MOVABLE_TYPES.map((dtype) => ({ name: dtype, attributes: { shape: [2, 3, 4] }, inputs: [movable(dtype, [3, 1])], outputs: [movable(dtype, [2, 3, 4])] })),
};

/** The loops of depth-to-space, or with the sides exchanged of space-to-depth. */
function blockLoops(deep: readonly number[], block: number, toSpace: boolean): MoveLoop[] {
  const [n, h, w, c] = deep as [number, number, number, number];
  const inner = c / (block * block);
  const d = stridesOf(deep);
  const s = stridesOf([n, h * block, w * block, inner]);
  const pairs: [number, number, number][] = [[n, d[0]!, s[0]!], [h, d[1]!, block * s[1]!], [block, block * inner, s[1]!], [w, d[2]!, block * s[2]!], [block, inner, s[2]!], [inner, 1, 1]];
  return pairs.map(([size, from, to]) => (toSpace ? { size, from, to } : { size, from: to, to: from }));
}

export const depthToSpace: OpDef = {
  name: "depthToSpace",
  infer(inputs, attributes) {
    const x = typeAt("depthToSpace", inputs, 0, 4);
    const { block } = attributesOf<{ block: number }>({ attributes });
    const [n, h, w, c] = x.shape as [number, number, number, number];
    if (!(block >= 1) || c % (block * block) !== 0) refuse("depthToSpace", `${c} channels are not blocks of ${block}x${block}`);
    return [{ dtype: x.dtype, shape: [n, h * block, w * block, c / (block * block)] }];
  },
  loops: (k, node) => moveAll(k, node, blockLoops(inputOf(node, 0).shape, attributesOf<{ block: number }>(node).block, true), "depth_to_space", "Spreads blocks of channels over rows and columns."),
  cases: MOVABLE_TYPES.map((dtype) => ({ name: dtype, attributes: { block: 2 }, inputs: [movable(dtype, [1, 2, 3, 8])], outputs: [movable(dtype, [1, 4, 6, 2])] })),
};

export const spaceToDepth: OpDef = {
  name: "spaceToDepth",
  infer(inputs, attributes) {
    const x = typeAt("spaceToDepth", inputs, 0, 4);
    const { block } = attributesOf<{ block: number }>({ attributes });
    const [n, h, w, c] = x.shape as [number, number, number, number];
    if (!(block >= 1) || h % block !== 0 || w % block !== 0) refuse("spaceToDepth", `${h}x${w} is not made of blocks of ${block}x${block}`);
    return [{ dtype: x.dtype, shape: [n, h / block, w / block, c * block * block] }];
  },
  loops: (k, node) => moveAll(k, node, blockLoops(outputOf(node).shape, attributesOf<{ block: number }>(node).block, false), "space_to_depth", "Gathers blocks of rows and columns into channels."),
  cases: MOVABLE_TYPES.map((dtype) => ({ name: dtype, attributes: { block: 2 }, inputs: [movable(dtype, [1, 4, 6, 2])], outputs: [movable(dtype, [1, 2, 3, 8])] })),
};

interface BatchAttributes {
  readonly block: readonly number[];
  readonly before?: readonly number[];
  readonly after?: readonly number[];
  readonly cropsBefore?: readonly number[];
  readonly cropsAfter?: readonly number[];
}

/**
 * Visits every spatial position of the batched side: batch b holds, of image b mod n, the positions
 * i · block + (b div n) − start; `body` gets both flat indices and whether the position lies in the image.
 */
function eachBatched(k: KernelBuilder, batched: readonly number[], image: readonly number[], block: readonly number[], start: readonly number[], body: (batchedAt: Expr, imageAt: Expr, inside: Expr) => void): void {
  const spatial = block.length;
  const [bs, is] = [stridesOf(batched), stridesOf(image)];
  k.for("b", 0, k.int("batches", batched[0]!), (b) => {
    const nest = (d: number, from: Expr, to: Expr, inside: Expr): void => {
      if (d === spatial) return body(from, to, inside);
      k.for(`i${d}`, 0, k.int(`size_${d}`, batched[d + 1]!), (i) => {
        const phase = b.div(k.int("images", image[0]!)).div(elementCount(block.slice(d + 1))).rem(block[d]!);
        const at = k.let(`at_${d}`, i.mul(block[d]!).add(phase).sub(k.int(`start_${d}`, start[d]!)));
        nest(d + 1, k.let(`from_${d}`, from.add(i.mul(bs[d + 1]!))), k.let(`to_${d}`, to.add(at.mul(is[d + 1]!))), inside.and(at.ge(0)).and(at.lt(k.int(`image_${d}`, image[d + 1]!))));
      });
    };
    nest(0, k.let("from", b.mul(bs[0]!)), k.let("to", b.rem(k.int("images", image[0]!)).mul(is[0]!)), b.ge(0));
  });
}

export const spaceToBatch: OpDef = {
  name: "spaceToBatch",
  infer(inputs, attributes) {
    const x = typeAt("spaceToBatch", inputs, 0);
    const { block, before, after } = attributesOf<Required<BatchAttributes>>({ attributes });
    const spatial = block.map((b, d) => (x.shape[d + 1]! + before[d]! + after[d]!) / b);
    if (spatial.some((size) => !Number.isInteger(size))) refuse("spaceToBatch", `the padded [${x.shape.join(",")}] is not made of blocks of ${block.join("x")}`);
    return [{ dtype: x.dtype, shape: [x.shape[0]! * elementCount(block), ...spatial, ...x.shape.slice(block.length + 1)] }];
  },
  loops(k, node) {
    const a = attributesOf<Required<BatchAttributes>>(node);
    const [x, y] = [inputOf(node, 0), outputOf(node)];
    const input = k.input(0, "x");
    const output = k.output(0, "y");
    const run = k.int("run", elementCount(x.shape.slice(a.block.length + 1)));
    const zero = output.type === "f32" ? k.float("zero", 0) : k.int("zero", y.quantization?.zeroPoints[0] ?? 0);
    eachBatched(k, y.shape, x.shape, a.block, a.before, (batchedAt, imageAt, inside) =>
      k.if(inside, () => k.copy(output, batchedAt, input, imageAt, run), () => k.for("c", 0, run, (c) => output.store(batchedAt.add(c), output.type === "i64" ? zero.to("i64") : zero))));
    return k.finish(`space_to_batch_${suffixOf(x.dtype)}`, "Spreads the positions of a grid over batches.");
  },
  cases: MOVABLE_TYPES.map((dtype) => ({ name: dtype, attributes: { block: [2, 2], before: [1, 0], after: [0, 1] }, inputs: [movable(dtype, [1, 3, 5, 2])], outputs: [movable(dtype, [4, 2, 3, 2])] })),
};

export const batchToSpace: OpDef = {
  name: "batchToSpace",
  infer(inputs, attributes) {
    const x = typeAt("batchToSpace", inputs, 0);
    const { block, cropsBefore, cropsAfter } = attributesOf<Required<BatchAttributes>>({ attributes });
    const batches = x.shape[0]! / elementCount(block);
    const spatial = block.map((b, d) => x.shape[d + 1]! * b - cropsBefore[d]! - cropsAfter[d]!);
    if (!Number.isInteger(batches) || spatial.some((size) => size < 1)) refuse("batchToSpace", `[${x.shape.join(",")}] does not come from blocks of ${block.join("x")}`);
    return [{ dtype: x.dtype, shape: [batches, ...spatial, ...x.shape.slice(block.length + 1)] }];
  },
  loops(k, node) {
    const a = attributesOf<Required<BatchAttributes>>(node);
    const [x, y] = [inputOf(node, 0), outputOf(node)];
    const input = k.input(0, "x");
    const output = k.output(0, "y");
    const run = k.int("run", elementCount(x.shape.slice(a.block.length + 1)));
    eachBatched(k, x.shape, y.shape, a.block, a.cropsBefore, (batchedAt, imageAt, inside) => k.if(inside, () => k.copy(output, imageAt, input, batchedAt, run)));
    return k.finish(`batch_to_space_${suffixOf(x.dtype)}`, "Gathers batches back into the positions of a grid.");
  },
  cases: MOVABLE_TYPES.map((dtype) => ({ name: dtype, attributes: { block: [2, 2], cropsBefore: [1, 0], cropsAfter: [0, 1] }, inputs: [movable(dtype, [4, 2, 3, 2])], outputs: [movable(dtype, [1, 3, 5, 2])] })),
};
