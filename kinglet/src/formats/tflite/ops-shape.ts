import { allocate, elementCount, sameShape } from "../../base/index.ts";
import type { Attributes, Node } from "../../graph/index.ts";
import { attributesOf, type PadAttributes } from "../../ops/index.ts";
import { SLICE_ROWS } from "./ops-slice.ts";
import {
  CONCATENATION,
  DEPTH_TO_SPACE,
  GATHER,
  MIRROR_PAD,
  type OptionTable,
  PACK,
  RESHAPE,
  RESIZE_BILINEAR,
  RESIZE_NEAREST,
  SPACE_TO_DEPTH,
  SPLIT,
  SPLIT_V,
  UNPACK,
} from "./options.ts";
import { type ConstantInput, type OperatorRow, type OperatorRows, row, scalarOf, vectorOf } from "./row.ts";
import type { Site } from "./site.ts";

/** RESHAPE, SQUEEZE and EXPAND_DIMS all mean: the same elements in the output's shape. */
function reshape(site: Site): Attributes {
  const shape = site.outputShape();
  if (elementCount(shape) !== elementCount(site.shape(0)))
    site.fail(`a reshape from ${site.shape(0).join("×")} to ${shape.join("×")} changes the number of elements`);
  return { shape };
}

function reshapeTo(site: Site): Attributes {
  if (site.inputs[1]) site.constant(1);
  return reshape(site);
}

function newShape(node: Node): { options: { newShape: readonly number[] }; constants: ConstantInput[] } {
  const { shape } = node.outputs[0]!;
  return { options: { newShape: shape }, constants: [vectorOf(shape)] };
}

function splitAlong(site: Site, input: number, axisInput: number): Attributes {
  const shape = site.shape(input);
  const axis = site.axis(site.constantScalar(axisInput), shape.length);
  const sizes = site.outputs.map((output) => site.positive(output.shape[axis] ?? 0, "the size of a part"));
  if (sizes.reduce((a, b) => a + b, 0) !== shape[axis]) site.fail(`parts of ${sizes.join(", ")} do not make up the dimension of ${shape[axis]}`);
  return { axis, sizes };
}

interface SplitAttributes {
  readonly axis: number;
  readonly sizes: readonly number[];
}

const equalSplit: OperatorRow = row("split", "cx", {
  options: SPLIT,
  read: (site) => splitAlong(site, 1, 0),
  write(node) {
    const { axis, sizes } = attributesOf<SplitAttributes>(node);
    return sizes.every((size) => size === sizes[0]) ? { options: { parts: sizes.length }, constants: [scalarOf(axis)] } : null;
  },
});

const splitBySizes: OperatorRow = row("split", "xcc", {
  options: SPLIT_V,
  read: (site) => splitAlong(site, 0, 2),
  write(node) {
    const { axis, sizes } = attributesOf<SplitAttributes>(node);
    return { options: { parts: sizes.length }, constants: [vectorOf(sizes), scalarOf(axis)] };
  },
});

/** Pairs [before, after] for each dimension, as two lists. */
function pairs(site: Site, input: number, count: number): { first: number[]; second: number[] } {
  const numbers = site.constantVector(input, 2 * count);
  if (numbers.some((n) => n < 0)) site.fail("a padding or crop is negative");
  return { first: numbers.filter((_, i) => i % 2 === 0), second: numbers.filter((_, i) => i % 2 === 1) };
}

function padding(site: Site): { before: number[]; after: number[] } {
  const { first, second } = pairs(site, 1, site.shape(0).length);
  return { before: first, after: second };
}

function pairsConstant(first: readonly number[], second: readonly number[]): ConstantInput {
  return { ...vectorOf(first.flatMap((before, i) => [before, second[i]!])), shape: [first.length, 2] };
}

function paddingConstant(node: Node): ConstantInput {
  const { before, after } = attributesOf<PadAttributes>(node);
  return pairsConstant(before, after);
}

/** The number that fills, of the padded tensor's own type. */
function fillConstant(node: Node, value: number): ConstantInput {
  const { dtype, quantization } = node.inputs[0]!;
  const data = allocate(dtype, 1);
  data[0] = (data instanceof BigInt64Array || data instanceof BigUint64Array ? BigInt(value) : value) as never;
  return { dtype, shape: [1], data, quantization };
}

const pad: OperatorRow = row("pad", "xc", {
  read: padding,
  write: (node) => (attributesOf<PadAttributes>(node).value === undefined ? { constants: [paddingConstant(node)] } : null),
});

const padWith: OperatorRow = row("pad", "xcc", {
  read: (site) => ({ ...padding(site), value: site.constantScalar(2) }),
  write(node) {
    const { value = 0 } = attributesOf<PadAttributes>(node);
    return Number.isFinite(value) ? { constants: [paddingConstant(node), fillConstant(node, value)] } : null;
  },
});

function transpose(site: Site): Attributes {
  const rank = site.shape(0).length;
  const permutation = site.constantVector(1, rank).map((axis) => site.axis(axis, rank));
  if (new Set(permutation).size !== rank) site.fail(`${permutation.join(", ")} is not a permutation`);
  return { permutation };
}

function gather(site: Site, { axis, batchDims }: { axis: number; batchDims: number }): Attributes {
  const indexRank = site.shape(1).length;
  const normal = batchDims < 0 ? batchDims + indexRank : batchDims;
  if (normal < 0 || normal > indexRank) site.fail(`${batchDims} batch dimensions do not exist`);
  return { axis: site.axis(axis, site.shape(0).length), batchDims: normal };
}

function tile(site: Site): Attributes {
  return { multiples: site.constantVector(1, site.shape(0).length).map((n) => site.positive(n, "a number of repeats")) };
}

/** The output's shape, which constant input `i` must agree with. */
function statedShape(site: Site, i: number): Attributes {
  const [shape, wanted] = [site.outputShape(), site.constant(i)];
  if (!sameShape(shape, wanted)) site.fail(`the wanted shape ${wanted.join("×")} differs from the output's ${shape.join("×")}`);
  return { shape };
}

const shapeConstant = (node: Node): { constants: ConstantInput[] } => ({ constants: [vectorOf(node.outputs[0]!.shape)] });

/** The attributes of these names as vectors, each a constant. */
function vectors(...names: readonly string[]): (node: Node) => { constants: ConstantInput[] } {
  return (node) => ({ constants: names.map((name) => vectorOf(node.attributes[name] as readonly number[])) });
}

function blocks(site: Site): number[] {
  const spatial = site.constant(1);
  if (spatial.length < 1 || spatial.length > site.shape(0).length - 1)
    site.fail(`${spatial.length} block sizes do not fit ${site.shape(0).length} dimensions`);
  return spatial.map((n) => site.positive(n, "a block size"));
}

function spaceToBatch(site: Site): Attributes {
  const block = blocks(site);
  const { first, second } = pairs(site, 2, block.length);
  return { block, before: first, after: second };
}

function batchToSpace(site: Site): Attributes {
  const block = blocks(site);
  const { first, second } = pairs(site, 2, block.length);
  return { block, cropsBefore: first, cropsAfter: second };
}

/** Block sizes, then pairs of the attributes with these names. */
function blocksAnd(before: string, after: string): (node: Node) => { constants: ConstantInput[] } {
  return ({ attributes }) => {
    const [block, first, second] = ["block", before, after].map((name) => attributes[name] as readonly number[]);
    return { constants: [vectorOf(block!), pairsConstant(first!, second!)] };
  };
}

interface ResizeOptions {
  readonly alignCorners: boolean;
  readonly halfPixelCenters: boolean;
}

function resize<O extends ResizeOptions>(op: string, options: OptionTable<O>): OperatorRow {
  return row(op, "xc", {
    options,
    read(site, { alignCorners, halfPixelCenters }) {
      site.shape(0, 4);
      const [height, width] = site.constantVector(1, 2);
      return { height: site.positive(height!, "the height"), width: site.positive(width!, "the width"), alignCorners, halfPixelCenters };
    },
    write: (node) => ({ constants: [vectorOf(node.outputs[0]!.shape.slice(1, 3))] }),
  });
}

/** Operators that move, repeat or cut elements. */
export const SHAPE_ROWS: OperatorRows = {
  ...SLICE_ROWS,
  CONCATENATION: row("concatenation", "*", {
    options: CONCATENATION,
    read: (site, { axis, activation }) => ({ axis: site.axis(axis, site.shape(0).length), activation }),
  }),
  SPLIT: equalSplit,
  SPLIT_V: splitBySizes,
  PACK: row("pack", "*", {
    options: PACK,
    read: (site, { axis }) => ({ axis: site.axis(axis, site.shape(0).length + 1) }),
    write: (node) => ({ options: { parts: node.inputs.length } }),
  }),
  UNPACK: row("unpack", "x", {
    options: UNPACK,
    read: (site, { axis }) => ({ axis: site.axis(axis, site.shape(0).length) }),
    write: (node) => ({ options: { parts: node.outputs.length } }),
  }),
  PAD: pad,
  PADV2: padWith,
  MIRROR_PAD: row("mirrorPad", "xc", {
    options: MIRROR_PAD,
    read: (site, { mode }) => ({ ...padding(site), mode }),
    write: (node) => ({ constants: [paddingConstant(node)] }),
  }),
  RESHAPE: row("reshape", "xo", { options: RESHAPE, read: reshapeTo, write: newShape }),
  SQUEEZE: row("reshape", "x", { read: reshape, write: "never" }),
  EXPAND_DIMS: row("reshape", "xc", { read: reshape, write: "never" }),
  TRANSPOSE: row("transpose", "xc", { read: transpose, write: vectors("permutation") }),
  GATHER: row("gather", "xx", { options: GATHER, read: gather }),
  GATHER_ND: row("gatherNd", "xx"),
  TILE: row("tile", "xc", { read: tile, write: vectors("multiples") }),
  BROADCAST_TO: row("broadcastTo", "xc", { read: (site) => statedShape(site, 1), write: shapeConstant }),
  FILL: row("fill", "cx", { read: (site) => statedShape(site, 0), write: shapeConstant }),
  SPACE_TO_BATCH_ND: row("spaceToBatch", "xcc", { read: spaceToBatch, write: blocksAnd("before", "after") }),
  BATCH_TO_SPACE_ND: row("batchToSpace", "xcc", { read: batchToSpace, write: blocksAnd("cropsBefore", "cropsAfter") }),
  DEPTH_TO_SPACE: row("depthToSpace", "x", { options: DEPTH_TO_SPACE }),
  SPACE_TO_DEPTH: row("spaceToDepth", "x", { options: SPACE_TO_DEPTH }),
  RESIZE_BILINEAR: resize("resizeBilinear", RESIZE_BILINEAR),
  RESIZE_NEAREST_NEIGHBOR: resize("resizeNearest", RESIZE_NEAREST),
};
