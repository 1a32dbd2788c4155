import { elementCount, stridesOf } from "../base/index.ts";
import type { Node } from "../graph/index.ts";
import { type Expr, i32, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { casesForTypes, fillBuffer, moveBlock } from "./move.ts";
import { attributesOf, inputOf, type OpDef, outputOf, refuse, suffixOf, typeAt } from "./op.ts";

/** Reads the input with any strides into an output of `shape`, whose elements lie at `to`. */
function restride(
  k: KernelBuilder,
  node: Node,
  name: string,
  shape: readonly number[],
  from: readonly number[],
  to: readonly number[] = stridesOf(shape),
): KernelInstance {
  moveBlock(k, "", shape, { buffer: k.output(0, "y"), base: 0, strides: to }, { buffer: k.input(0, "x"), base: 0, strides: from });
  return k.finish(`${name}_${suffixOf(outputOf(node).dtype)}`, "Reads elements in another order.");
}

export const transpose: OpDef = {
  name: "transpose",
  infer(inputs, attributes) {
    const { permutation } = attributesOf<{ permutation: number[] }>({ attributes });
    const x = typeAt("transpose", inputs, 0);
    if ([...permutation].sort((a, b) => a - b).some((d, i) => d !== i) || permutation.length !== x.shape.length)
      refuse("transpose", `[${permutation.join(",")}] does not permute ${x.shape.length} dimensions`);
    return [{ dtype: x.dtype, shape: permutation.map((d) => x.shape[d]!) }];
  },
  loops(k, node) {
    const { permutation } = attributesOf<{ permutation: number[] }>(node);
    const strides = stridesOf(inputOf(node, 0).shape);
    return restride(
      k,
      node,
      "transpose",
      outputOf(node).shape,
      permutation.map((d) => strides[d]!),
    );
  },
  cases: [
    ...casesForTypes([[2, 3, 4]], [[4, 2, 3]], { permutation: [2, 0, 1] }),
    ...casesForTypes([[2, 3, 4]], [[3, 2, 4]], { permutation: [1, 0, 2] }, ["int8"]),
  ],
};

export const tile: OpDef = {
  name: "tile",
  infer(inputs, attributes) {
    const { multiples } = attributesOf<{ multiples: number[] }>({ attributes });
    const x = typeAt("tile", inputs, 0);
    if (multiples.length !== x.shape.length || multiples.some((n) => n < 1))
      refuse("tile", "one positive number of repeats for each dimension is needed");
    return [{ dtype: x.dtype, shape: x.shape.map((dim, d) => dim * multiples[d]!) }];
  },
  loops(k, node) {
    const { multiples } = attributesOf<{ multiples: number[] }>(node);
    const x = inputOf(node, 0).shape;
    const [from, to] = [stridesOf(x), stridesOf(outputOf(node).shape)];
    return restride(
      k,
      node,
      "tile",
      x.flatMap((dim, d) => [multiples[d]!, dim]),
      from.flatMap((s) => [0, s]),
      to.flatMap((s, d) => [s * x[d]!, s]),
    );
  },
  cases: casesForTypes([[2, 3]], [[4, 9]], { multiples: [2, 3] }),
};

export const broadcastTo: OpDef = {
  name: "broadcastTo",
  infer(inputs, attributes) {
    const { shape } = attributesOf<{ shape: number[] }>({ attributes });
    const x = typeAt("broadcastTo", inputs, 0);
    const skip = shape.length - x.shape.length;
    if (skip < 0 || x.shape.some((dim, d) => dim !== 1 && dim !== shape[d + skip]))
      refuse("broadcastTo", `[${x.shape.join(",")}] does not broadcast to [${shape.join(",")}]`);
    return [{ dtype: x.dtype, shape }];
  },
  loops(k, node) {
    const [x, y] = [inputOf(node, 0).shape, outputOf(node).shape];
    const strides = stridesOf(x);
    const skip = y.length - x.length;
    return restride(
      k,
      node,
      "broadcast_to",
      y,
      y.map((_, d) => (d < skip || x[d - skip] === 1 ? 0 : strides[d - skip]!)),
    );
  },
  cases: casesForTypes([[3, 1]], [[2, 3, 4]], { shape: [2, 3, 4] }),
};

export const fill: OpDef = {
  name: "fill",
  infer(inputs, attributes) {
    const value = typeAt("fill", inputs, 0);
    if (elementCount(value.shape) !== 1) refuse("fill", "the value must be one element");
    return [{ dtype: value.dtype, shape: attributesOf<{ shape: number[] }>({ attributes }).shape }];
  },
  loops(k, node) {
    const value = k.let("value", k.input(0, "x").load(0));
    fillBuffer(k, k.output(0, "y"), elementCount(outputOf(node).shape), value);
    return k.finish(`fill_${suffixOf(outputOf(node).dtype)}`, "One value everywhere.");
  },
  cases: casesForTypes([[]], [[2, 3]], { shape: [2, 3] }),
};

interface BlockAttributes {
  readonly block: number;
}

export const depthToSpace: OpDef = {
  name: "depthToSpace",
  infer(inputs, attributes) {
    const { block } = attributesOf<BlockAttributes>({ attributes });
    const x = typeAt("depthToSpace", inputs, 0, 4);
    const [n, h, w, c] = x.shape as [number, number, number, number];
    if (c % (block * block) !== 0) refuse("depthToSpace", `${c} channels are not a multiple of ${block * block}`);
    return [{ dtype: x.dtype, shape: [n, h * block, w * block, c / (block * block)] }];
  },
  loops(k, node) {
    const { block: b } = attributesOf<BlockAttributes>(node);
    const [n, h, w, c] = inputOf(node, 0).shape as [number, number, number, number];
    const [depth, row] = [c / (b * b), w * c];
    return restride(k, node, "depth_to_space", [n, h, b, w, b, depth], [h * row, row, b * depth, c, depth, 1]);
  },
  cases: casesForTypes([[1, 2, 3, 8]], [[1, 4, 6, 2]], { block: 2 }),
};

export const spaceToDepth: OpDef = {
  name: "spaceToDepth",
  infer(inputs, attributes) {
    const { block } = attributesOf<BlockAttributes>({ attributes });
    const x = typeAt("spaceToDepth", inputs, 0, 4);
    const [n, h, w, c] = x.shape as [number, number, number, number];
    if (h % block !== 0 || w % block !== 0) refuse("spaceToDepth", `${h}x${w} is not a multiple of ${block}`);
    return [{ dtype: x.dtype, shape: [n, h / block, w / block, c * block * block] }];
  },
  loops(k, node) {
    const { block: b } = attributesOf<BlockAttributes>(node);
    const [n, h, w, c] = inputOf(node, 0).shape as [number, number, number, number];
    return restride(k, node, "space_to_depth", [n, h / b, w / b, b, b, c], [h * w * c, b * w * c, b * c, w * c, c, 1]);
  },
  cases: casesForTypes([[1, 4, 6, 2]], [[1, 2, 3, 8]], { block: 2 }),
};

interface SpaceBatch {
  readonly block: number[];
  readonly before: number[];
  readonly after: number[];
}
interface BatchSpace {
  readonly block: number[];
  readonly cropsBefore: number[];
  readonly cropsAfter: number[];
}

/**
 * Visits (block offset, batch, coarse position) and moves the rest of the element between the spread-out side,
 * where position = coarse · block + offset − shift, and the batched side; positions outside are left alone.
 */
function blockLoops(
  k: KernelBuilder,
  node: Node,
  name: string,
  block: readonly number[],
  shift: readonly number[],
  toBatch: boolean,
): KernelInstance {
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  const [wide, batched] = toBatch ? [x.shape, y.shape] : [y.shape, x.shape];
  const [input, output] = [k.input(0, "x"), k.output(0, "y")];
  if (toBatch) fillBuffer(k, output, elementCount(y.shape), y.quantization?.zeroPoints[0] ?? 0);
  const rest = k.int("rest", elementCount(wide.slice(block.length + 1)));
  const spatial = (m: number, offset: readonly Expr[], wideAt: Expr, batchedAt: Expr): void => {
    if (m === block.length) {
      const [a, b] = [wideAt.mul(rest), batchedAt.mul(rest)];
      return toBatch ? k.copy(output, b, input, a, rest) : k.copy(output, a, input, b, rest);
    }
    k.for(`o${m}`, 0, k.int(`coarse_${m}`, batched[m + 1]!), (o) => {
      const at = k.let(
        `at_${m}`,
        o
          .mul(k.int(`block_${m}`, block[m]!))
          .add(offset[m]!)
          .sub(k.int(`shift_${m}`, shift[m]!)),
      );
      const size = k.int(`wide_${m}`, wide[m + 1]!);
      k.if(at.ge(0).and(at.lt(size)), () => {
        const inside = k.let(`in_${m}`, at.clamp(0, size.sub(1)));
        spatial(m + 1, offset, wideAt.mul(size).add(inside), batchedAt.mul(k.int(`coarse_${m}`, batched[m + 1]!)).add(o));
      });
    });
  };
  const blocks = (m: number, offset: readonly Expr[], group: Expr): void => {
    if (m < block.length)
      return k.for(`b${m}`, 0, k.int(`block_${m}`, block[m]!), (b) =>
        blocks(m + 1, [...offset, b], group.mul(k.int(`block_${m}`, block[m]!)).add(b)),
      );
    const batches = k.int("batches", wide[0]!);
    k.for("n", 0, batches, (n) => spatial(0, offset, n, k.let("batch", group.mul(batches).add(n))));
  };
  blocks(0, [], i32(0));
  return k.finish(`${name}_${suffixOf(x.dtype)}`, "Moves blocks of space between positions and batches.");
}

export const spaceToBatch: OpDef = {
  name: "spaceToBatch",
  infer(inputs, attributes) {
    const { block, before, after } = attributesOf<SpaceBatch>({ attributes });
    const x = typeAt("spaceToBatch", inputs, 0);
    const shape = [...x.shape];
    if (block.length >= x.shape.length) refuse("spaceToBatch", `${block.length} blocks do not fit [${x.shape.join(",")}]`);
    block.forEach((b, m) => {
      const padded = x.shape[m + 1]! + before[m]! + after[m]!;
      if (padded === 0 || padded % b !== 0) refuse("spaceToBatch", `a padded length of ${padded} is no multiple of the block ${b}`);
      shape[m + 1] = padded / b;
      shape[0]! *= b;
    });
    return [{ dtype: x.dtype, shape }];
  },
  loops(k, node) {
    const { block, before } = attributesOf<SpaceBatch>(node);
    return blockLoops(k, node, "space_to_batch", block, before, true);
  },
  cases: casesForTypes([[2, 3, 4, 2]], [[8, 2, 3, 2]], { block: [2, 2], before: [1, 0], after: [0, 2] }),
};

export const batchToSpace: OpDef = {
  name: "batchToSpace",
  infer(inputs, attributes) {
    const { block, cropsBefore, cropsAfter } = attributesOf<BatchSpace>({ attributes });
    const x = typeAt("batchToSpace", inputs, 0);
    const all = elementCount(block);
    if (block.length >= x.shape.length) refuse("batchToSpace", `${block.length} blocks do not fit [${x.shape.join(",")}]`);
    if (x.shape[0]! % all !== 0) refuse("batchToSpace", `${x.shape[0]} batches are no multiple of ${all}`);
    const shape = x.shape.map((dim, d) =>
      d === 0 ? dim / all : d <= block.length ? dim * block[d - 1]! - cropsBefore[d - 1]! - cropsAfter[d - 1]! : dim,
    );
    if (shape.some((dim) => dim < 1)) refuse("batchToSpace", "nothing is left after cropping");
    return [{ dtype: x.dtype, shape }];
  },
  loops(k, node) {
    const { block, cropsBefore } = attributesOf<BatchSpace>(node);
    return blockLoops(k, node, "batch_to_space", block, cropsBefore, false);
  },
  cases: casesForTypes([[8, 2, 3, 2]], [[2, 3, 4, 2]], { block: [2, 2], cropsBefore: [1, 0], cropsAfter: [0, 2] }),
};
