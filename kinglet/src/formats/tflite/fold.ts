import { elementCount } from "../../base/index.ts";
import { stridedSlice } from "./ops-slice.ts";
import { GATHER, readOptions, STRIDED_SLICE } from "./options.ts";
import { operatorCode } from "./schema.ts";
import type { Site } from "./site.ts";

/** Exporters compute shapes with operators; nothing longer than this is a shape. */
const MAX_LENGTH = 64;

/** Numbers of every input where all of them are known, else null. */
type Known = (readonly number[])[];
type Folder = (site: Site, known: Known) => readonly number[] | null;

const join: Folder = (_site, known) => known.flat();

function foldSlice(site: Site, known: Known): readonly number[] | null {
  if (site.shape(0).length !== 1) return null;
  const { begin, strides, shape } = stridedSlice(site, readOptions(STRIDED_SLICE, site.options, site)) as Record<
    "begin" | "strides" | "shape",
    readonly number[]
  >;
  return Array.from({ length: shape[0]! }, (_, i) => known[0]![begin[0]! + i * strides[0]!]!);
}

function foldGather(site: Site, known: Known): readonly number[] | null {
  if (site.shape(0).length !== 1 || readOptions(GATHER, site.options, site).batchDims !== 0) return null;
  return known[1]!.map((index) => known[0]![index] ?? site.fail(`the index ${index} lies outside a vector of ${known[0]!.length}`));
}

const FOLDERS: ReadonlyMap<number, Folder> = new Map([
  [operatorCode("PACK"), join],
  [operatorCode("CONCATENATION"), join],
  [operatorCode("STRIDED_SLICE"), foldSlice],
  [operatorCode("GATHER"), foldGather],
]);

const SHAPE = operatorCode("SHAPE");

export function isShapeOperator(code: number): boolean {
  return code === SHAPE;
}

const isIndexType = (stored: string): boolean => stored === "int32" || stored === "int64";

/**
 * The result of arithmetic on shapes, where every input is known: SHAPE (every shape is), and
 * joining and picking entries of int32 or int64 vectors. Null where this is not such arithmetic.
 */
export function foldShapes(code: number, site: Site, known: (input: number) => readonly number[] | null): readonly number[] | null {
  const output = site.output(0);
  if (!isIndexType(output.stored) || output.shape.length > 1) return null;
  if (code === SHAPE) return [...site.shape(0)];
  const folder = FOLDERS.get(code);
  if (folder === undefined || elementCount(output.shape) > MAX_LENGTH) return null;
  const flat = site.inputs.every(
    (tensor) => tensor !== null && isIndexType(tensor.stored) && tensor.shape.length <= 1 && elementCount(tensor.shape) <= MAX_LENGTH,
  );
  if (!flat) return null;
  const inputs = site.inputs.map((_, i) => known(i));
  if (inputs.some((numbers) => numbers === null)) return null;
  const result = folder(site, inputs as Known);
  if (result !== null && result.length !== elementCount(output.shape))
    site.fail(`${result.length} numbers do not fit the output of ${elementCount(output.shape)}`);
  return result;
}
