import type { Node } from "../../graph/index.ts";
import { type Buffer, type Expr, type Images, type KernelBuilder, vectorLoad } from "../../loops/index.ts";
import { attributesOf, inputOf, type LayoutWish, type WindowAttributes } from "../../ops/index.ts";
import { vectorOf } from "./border.ts";
import type { LayerMath } from "./layer.ts";
import type { Runs } from "./tile.ts";

/** Bytes of a vector load. */
const VECTOR_BYTES = 16;

/** How a convolution's windows lie in an input with its border. */
export interface Windows {
  readonly from: Images;
  readonly to: Images;
  readonly strideH: number;
  readonly strideW: number;
  /** The first element of the first window. */
  readonly first: number;
  readonly runs: Omit<Runs, "input">;
  /** For each element that is read of a window, which weight of a channel it meets; −1 for none. */
  readonly depth: readonly number[];
  /** Runs are so short that a tile copies its windows together first. */
  readonly gather: boolean;
}

export function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** Counts up to `count`, filled up to `padded` with −1. */
export function filled(start: number, count: number, padded: number): number[] {
  return Array.from({ length: padded }, (_, i) => (i < count ? start + i : -1));
}

export function elementBytes(math: LayerMath): number {
  return 4 / math.group;
}

/** What the inputs of a layer lie in memory as. */
const INPUT_TYPES = { 1: "f32", 2: "i16", 4: "u8" } as const;

/** Elements of a window that lie side by side in memory: a filter row, or where columns are dilated the channels of one. */
function runOf(node: Node): { runs: number; run: number } {
  const [, filterH, filterW, inC] = inputOf(node, 1).shape as [number, number, number, number];
  const joined = (attributesOf<WindowAttributes>(node).dilationW ?? 1) === 1 || filterW === 1;
  return joined ? { runs: filterH, run: filterW * inC } : { runs: filterH * filterW, run: inC };
}

function gathers(node: Node, math: LayerMath): boolean {
  const { runs, run } = runOf(node);
  return runs > 1 && run * elementBytes(math) <= VECTOR_BYTES;
}

export function windowsOf(node: Node, math: LayerMath, from: Images, to: Images): Windows {
  const a = attributesOf<WindowAttributes>(node);
  const [, filterH, filterW, inC] = inputOf(node, 1).shape as [number, number, number, number];
  const { runs: count, run } = runOf(node);
  const gather = gathers(node, math);
  const padded = roundUp(run, math.group);
  const all = count * run;
  const runs = {
    pixel: a.strideW * inC,
    rows: filterH,
    row: (a.dilationH ?? 1) * from.row,
    columns: count / filterH,
    column: (a.dilationW ?? 1) * inC,
    run: padded,
  };
  const depth = gather ? filled(0, all, roundUp(all, math.group)) : Array.from({ length: count }, (_, r) => filled(r * run, run, padded)).flat();
  const first = from.first - a.padTop * from.row - a.padLeft * inC;
  return { from, to, strideH: a.strideH, strideW: a.strideW, first, runs: { ...runs, ...(filterW === 1 ? { column: 0 } : {}) }, depth, gather };
}

/** Copies the windows of a tile together, given where they begin, and says how they then lie. */
export type Gather = (windows: readonly Expr[]) => { readonly buffer: Buffer; readonly runs: Omit<Runs, "input"> };

/** A tile's windows one after another: every run is one vector, and what it brings too much the next one overwrites. */
export function gatherWindows(k: KernelBuilder, math: LayerMath, pixels: number, input: Buffer, w: Windows): Gather {
  const memory = INPUT_TYPES[math.group];
  const type = vectorOf(memory);
  const depth = w.depth.length;
  const run = w.depth.filter((d) => d >= 0).length / (w.runs.rows * w.runs.columns);
  const buffer = k.scratch("windows", memory, pixels * depth + VECTOR_BYTES / elementBytes(math));
  return (windows) => {
    for (const [p, from] of windows.entries()) {
      k.for("ky", 0, k.int("filter_rows", w.runs.rows), (ky) =>
        k.for("kx", 0, k.int("filter_columns", w.runs.columns), (kx) => {
          const at = from.add(ky.mul(k.int("filter_row", w.runs.row))).add(kx.mul(k.int("filter_column", w.runs.column)));
          const to = ky
            .mul(k.int("filter_columns", w.runs.columns))
            .add(kx)
            .mul(run)
            .add(p * depth);
          k.emit({ kind: "vectorStore", buffer, index: to, value: vectorLoad(type, input, at), form: "full" });
        }),
      );
    }
    return { buffer, runs: { pixel: depth, rows: 1, row: 0, columns: 1, column: 0, run: depth } };
  };
}

/** Windows of one pixel, side by side in memory. */
export function isFlat(node: Node, from: Images): boolean {
  const a = attributesOf<WindowAttributes>(node);
  const [, filterH, filterW] = inputOf(node, 1).shape as [number, number, number];
  const single = filterH * filterW === 1 && a.strideH * a.strideW === 1 && a.padTop + a.padBottom + a.padLeft + a.padRight === 0;
  return single && from.row === from.width * from.channels && from.image === from.height * from.row;
}

export function convWish(node: Node, math: LayerMath): LayoutWish {
  const a = attributesOf<WindowAttributes>(node);
  const { run } = runOf(node);
  const tail = gathers(node, math) ? VECTOR_BYTES / elementBytes(math) : roundUp(run, math.group) - run;
  return { border: { top: a.padTop, bottom: a.padBottom, left: a.padLeft, right: a.padRight }, tail, unsigned: math.group === 4 };
}
