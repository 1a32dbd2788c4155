import { elementCount, sameShape } from "../../base/index.ts";
import type { Attributes } from "../../graph/index.ts";
import { slice, stridedSlice } from "./ops-slice.ts";
import { activation, type OperatorRows, row, type Site } from "./site.ts";

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

function concatenation(site: Site): Attributes {
  return { axis: site.axis(site.options.int(0), site.shape(0).length), activation: activation(site, 1) };
}

function splitAlong(site: Site, input: number, axisInput: number): Attributes {
  const shape = site.shape(input);
  const axis = site.axis(site.constantScalar(axisInput), shape.length);
  const sizes = site.outputs.map((output) => site.positive(output.shape[axis] ?? 0, "the size of a part"));
  if (sizes.reduce((a, b) => a + b, 0) !== shape[axis]) site.fail(`parts of ${sizes.join(", ")} do not make up the dimension of ${shape[axis]}`);
  return { axis, sizes };
}

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

const MIRROR_MODES = ["reflect", "symmetric"] as const;

function mirrorPad(site: Site): Attributes {
  const mode = MIRROR_MODES[site.options.byte(0)];
  return { ...padding(site), mode: mode ?? site.fail("the mirror mode is not known") };
}

function transpose(site: Site): Attributes {
  const rank = site.shape(0).length;
  const permutation = site.constantVector(1, rank).map((axis) => site.axis(axis, rank));
  if (new Set(permutation).size !== rank) site.fail(`${permutation.join(", ")} is not a permutation`);
  return { permutation };
}

function gather(site: Site): Attributes {
  const indexRank = site.shape(1).length;
  const batchDims = site.options.int(1);
  const normal = batchDims < 0 ? batchDims + indexRank : batchDims;
  if (normal < 0 || normal > indexRank) site.fail(`${batchDims} batch dimensions do not exist`);
  return { axis: site.axis(site.options.int(0), site.shape(0).length), batchDims: normal };
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

function blockOf(site: Site): Attributes {
  return { block: site.positive(site.options.int(0), "the block size") };
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

/** `first` is the number of the align-corners option; the bilinear options begin with two retired ones. */
function resize(first: number): (site: Site) => Attributes {
  return (site) => {
    site.shape(0, 4);
    const [height, width] = site.constantVector(1, 2);
    return {
      height: site.positive(height!, "the height"),
      width: site.positive(width!, "the width"),
      alignCorners: site.options.bool(first),
      halfPixelCenters: site.options.bool(first + 1),
    };
  };
}

/** Operators that move, repeat or cut elements. */
export const SHAPE_ROWS: OperatorRows = {
  CONCATENATION: row("concatenation", "*", concatenation),
  SPLIT: row("split", "cx", (site) => splitAlong(site, 1, 0)),
  SPLIT_V: row("split", "xcc", (site) => splitAlong(site, 0, 2)),
  SLICE: row("slice", "xcc", slice),
  STRIDED_SLICE: row("stridedSlice", "xccc", stridedSlice),
  PACK: row("pack", "*", (site) => ({ axis: site.axis(site.options.int(1), site.shape(0).length + 1) })),
  UNPACK: row("unpack", "x", (site) => ({ axis: site.axis(site.options.int(1), site.shape(0).length) })),
  PAD: row("pad", "xc", padding),
  PADV2: row("pad", "xcc", (site) => ({ ...padding(site), value: site.constantScalar(2) })),
  MIRROR_PAD: row("mirrorPad", "xc", mirrorPad),
  RESHAPE: row("reshape", "xo", reshapeTo),
  SQUEEZE: row("reshape", "x", reshape),
  EXPAND_DIMS: row("reshape", "xc", reshape),
  TRANSPOSE: row("transpose", "xc", transpose),
  GATHER: row("gather", "xx", gather),
  GATHER_ND: row("gatherNd", "xx"),
  TILE: row("tile", "xc", tile),
  BROADCAST_TO: row("broadcastTo", "xc", (site) => statedShape(site, 1)),
  FILL: row("fill", "cx", (site) => statedShape(site, 0)),
  SPACE_TO_BATCH_ND: row("spaceToBatch", "xcc", spaceToBatch),
  BATCH_TO_SPACE_ND: row("batchToSpace", "xcc", batchToSpace),
  DEPTH_TO_SPACE: row("depthToSpace", "x", blockOf),
  SPACE_TO_DEPTH: row("spaceToDepth", "x", blockOf),
  RESIZE_BILINEAR: row("resizeBilinear", "xc", resize(2)),
  RESIZE_NEAREST_NEIGHBOR: row("resizeNearest", "xc", resize(0)),
};
