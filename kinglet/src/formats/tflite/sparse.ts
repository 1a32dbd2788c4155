import { allocate, type DType, dtypeBytes, elementCount, type TypedArray } from "../../base/index.ts";
import type { FlatFile, Table } from "./flatfile.ts";
import { SPARSE_DIMENSION, SPARSITY } from "./schema.ts";
import type { Tensor } from "./tensor.ts";

/** One level of the storage tree: every index (dense), or the listed ones of each parent (CSR). */
type Level = { readonly dense: number } | { readonly segments: readonly number[]; readonly indices: readonly number[] };

/**
 * How a sparse tensor is stored: a tree with one level for each dimension of the tensor and then for
 * each block dimension, in traversal order. `blockMap[i]` is the tensor dimension that block dimension i cuts.
 */
interface Sparsity {
  readonly traversalOrder: readonly number[];
  readonly blockMap: readonly number[];
  readonly levels: readonly Level[];
}

const INDEX_VECTORS = ["none", "ints", "ushorts", "ubytes"] as const;

function indexVector(file: FlatFile, table: Table, typeField: number, field: number): number[] {
  const kind = INDEX_VECTORS[table.byte(typeField)];
  const vector = table.table(field, table.where);
  if (kind === undefined || kind === "none" || vector === null) return file.fail(table.where, "a compressed dimension lacks its indices");
  return vector[kind](0);
}

function readLevel(file: FlatFile, table: Table): Level {
  const D = SPARSE_DIMENSION;
  if (table.byte(D.format) === 0) {
    const dense = table.int(D.denseSize);
    if (dense < 1) file.fail(table.where, `a dense dimension has the size ${dense}`);
    return { dense };
  }
  const level = { segments: indexVector(file, table, D.segmentsType, D.segments), indices: indexVector(file, table, D.indicesType, D.indices) };
  const ordered = level.segments.every((start, i) => start >= (level.segments[i - 1] ?? 0) && start <= level.indices.length);
  if (!ordered) file.fail(table.where, "the segments of a compressed dimension are not in order");
  return level;
}

export function readSparsity(file: FlatFile, table: Table, where: string): Sparsity {
  return {
    traversalOrder: table.ints(SPARSITY.traversalOrder),
    blockMap: table.ints(SPARSITY.blockMap),
    levels: table.tables(SPARSITY.dimensions, `${where}, sparse dimension`).map((level) => readLevel(file, level)),
  };
}

function checkOrder(file: FlatFile, tensor: Tensor, sparsity: Sparsity): void {
  const { traversalOrder, blockMap, levels } = sparsity;
  const rank = tensor.shape.length;
  const depth = rank + blockMap.length;
  const permutation = new Set(traversalOrder).size === depth && traversalOrder.every((d) => d >= 0 && d < depth);
  if (depth > 2 * rank || traversalOrder.length !== depth || levels.length !== depth || !permutation)
    file.fail(tensor.where, "the sparse storage order does not fit the tensor's dimensions");
  if (new Set(blockMap).size !== blockMap.length || blockMap.some((d) => d < 0 || d >= rank))
    file.fail(tensor.where, "the sparse block map names a dimension that the tensor does not have");
  if (traversalOrder.some((d, level) => d >= rank && !("dense" in levels[level]!)))
    file.fail(tensor.where, "a block dimension is compressed; only dense blocks have a meaning");
}

/** Where index 1 of each storage level moves to in the dense tensor, and how far each level may go. */
function levelSteps(file: FlatFile, tensor: Tensor, { traversalOrder, blockMap, levels }: Sparsity): { step: number; limit: number }[] {
  const rank = tensor.shape.length;
  const blockSize = new Array<number>(rank).fill(1);
  traversalOrder.forEach((d, i) => {
    const level = levels[i]!;
    if (d >= rank && "dense" in level) blockSize[blockMap[d - rank]!] = level.dense;
  });
  return traversalOrder.map((d, i) => {
    const dim = d < rank ? d : blockMap[d - rank]!;
    const size = tensor.shape[dim]!;
    if (size % blockSize[dim]! !== 0) file.fail(tensor.where, `blocks of ${blockSize[dim]} do not divide the dimension of ${size}`);
    const stride = elementCount(tensor.shape.slice(dim + 1));
    const limit = d < rank ? size / blockSize[dim]! : blockSize[dim]!;
    const level = levels[i]!;
    if ("dense" in level && level.dense !== limit) file.fail(tensor.where, `a dense storage level has ${level.dense} entries where ${limit} belong`);
    return { step: d < rank ? stride * blockSize[dim]! : stride, limit };
  });
}

/** The entries of one level below every parent: their positions in the dense tensor. */
function descend(
  file: FlatFile,
  tensor: Tensor,
  level: Level,
  { step, limit }: { step: number; limit: number },
  parents: readonly number[],
  most: number,
): number[] {
  const out: number[] = [];
  if ("dense" in level) {
    // Every place is stored itself or has its segment stored, so the file's vectors bound how many there are.
    if (parents.length * limit > most) file.fail(tensor.where, `a sparse tensor has ${parents.length * limit} places but stores at most ${most}`);
    for (const base of parents) for (let i = 0; i < limit; i++) out.push(base + i * step);
    return out;
  }
  if (level.segments.length !== parents.length + 1)
    file.fail(tensor.where, `a compressed level has ${level.segments.length} segments for ${parents.length} parents`);
  file.spend(level.indices.length, tensor.where);
  parents.forEach((base, parent) => {
    for (let i = level.segments[parent]!; i < level.segments[parent + 1]!; i++) {
      const index = level.indices[i]!;
      if (index < 0 || index >= limit) file.fail(tensor.where, `a sparse index of ${index} lies outside 0…${limit - 1}`);
      out.push(base + index * step);
    }
  });
  return out;
}

/** Spreads the stored elements over a zeroed dense tensor; `padded` allows one element too many (int4's last nibble). */
export function expandSparse(file: FlatFile, tensor: Tensor, sparsity: Sparsity, stored: TypedArray, dtype: DType, padded: boolean): TypedArray {
  const length = elementCount(tensor.shape);
  if (tensor.shape.some((dim) => dim < 1)) file.fail(tensor.where, "a sparse tensor has an empty dimension");
  file.expand(length * dtypeBytes(dtype), tensor.where);
  checkOrder(file, tensor, sparsity);
  const steps = levelSteps(file, tensor, sparsity);
  const most = Math.max(stored.length, ...sparsity.levels.map((level) => ("dense" in level ? 0 : level.segments.length)));
  let places: readonly number[] = [0];
  sparsity.levels.forEach((level, i) => {
    places = descend(file, tensor, level, steps[i]!, places, most);
  });
  const spare = stored.length - places.length;
  if (spare !== 0 && !(padded && spare === 1))
    file.fail(tensor.where, `the sparse tensor stores ${stored.length} elements but its indices name ${places.length}`);
  const dense = allocate(dtype, length);
  places.forEach((place, i) => {
    dense[place] = stored[i]!;
  });
  return dense;
}
