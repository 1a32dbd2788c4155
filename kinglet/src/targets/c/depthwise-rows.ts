import { type Buffer, type Expr, intrinsic, type KernelBuilder, type Variable } from "../../loops/index.ts";
import type { RowTaps } from "./depthwise-taps.ts";

/** How one channel's sums start and end. */
export interface ChannelEnds {
  readonly bias: Expr;
  readonly finish: (sum: Expr) => Expr;
}

/** What the rows of one channel's outputs are computed from. */
export interface RowKernel {
  readonly planes: Buffer;
  readonly pitch: Expr;
  /** Of each channel: `head` words for the ends of its sums, then the words of its filter rows. */
  readonly table: Buffer;
  readonly head: number;
  /** Loads what a channel's sums start and end with; its words are at `from`. */
  readonly ends: (k: KernelBuilder, channel: Expr, from: Expr) => ChannelEnds;
  readonly taps: RowTaps;
  readonly filterH: number;
  readonly strideH: Expr;
  readonly strideW: number;
  readonly output: Buffer;
  readonly outC: Expr;
  /** Outputs of a row. */
  readonly width: number;
  /** Write more of a row out, for speed. */
  readonly unroll: boolean;
}

/** Weights that stay in registers while a channel's rows are computed: those of three rows of three are all there is room for. */
const HELD_WORDS = 6;

function holdsWeights(taps: RowTaps, filterH: number): boolean {
  return taps.words.length * filterH <= HELD_WORDS;
}

interface ChannelState {
  readonly ends: ChannelEnds;
  /** Where the channel's weights are, and those of each filter row where they are held. */
  readonly weightsAt: Expr;
  readonly held: readonly (readonly Expr[])[] | undefined;
}

function loadRow(k: KernelBuilder, r: RowKernel, at: Expr, name: string): Expr[] {
  return r.taps.words.map((_, i) => k.let(`w${name}${i}`, r.table.load(at.add(i))));
}

function channelState(k: KernelBuilder, r: RowKernel, channel: Expr): ChannelState {
  const words = r.taps.words.length;
  const from = k.let("table_at", channel.mul(r.head + words * r.filterH));
  const weightsAt = from.add(r.head);
  return {
    ends: r.ends(k, channel, from),
    weightsAt,
    held: holdsWeights(r.taps, r.filterH)
      ? Array.from({ length: r.filterH }, (_, ky) => loadRow(k, r, weightsAt.add(words * ky), String(ky)))
      : undefined,
  };
}

/** Where a few neighbouring outputs are: the word and element that their count starts from, and how many come before them. */
interface Step {
  readonly at: Expr;
  readonly to: Expr;
  readonly before: number;
  readonly count: number;
}

/** sums[o] += the products of one filter row, two words of inputs at a time. */
function addRow(k: KernelBuilder, r: RowKernel, step: Step, sums: readonly Variable[], weights: readonly Expr[], row: Expr, name: string): void {
  const products = sums.flatMap((sum, o) => r.taps.products((step.before + o) * r.strideW).map((product) => ({ ...product, sum })));
  const words = products.map((product) => product.input);
  const last = Math.max(...words);
  for (let first = Math.min(...words); first <= last; first += 2) {
    const inputs = [first, first + 1].filter((i) => i <= last).map((i) => k.let(`x${name}${i}`, r.planes.load(row.add(i))));
    inputs.forEach((x, i) => {
      for (const p of products.filter((product) => product.input === first + i)) p.sum.set(intrinsic(p.form, x, weights[p.weight]!, p.sum.get()));
    });
  }
}

/** The outputs of a step, from the filter rows that meet any input. */
function outputs(k: KernelBuilder, r: RowKernel, state: ChannelState, step: Step, clip: readonly [Expr, Expr] | undefined): void {
  const sums = Array.from({ length: step.count }, (_, o) => k.variable(`acc${o}`, state.ends.bias));
  if (state.held !== undefined) state.held.forEach((weights, ky) => addRow(k, r, step, sums, weights, step.at.add(r.pitch.mul(ky)), `${ky}_`));
  else
    k.for("ky", clip![0], clip![1], (ky) => {
      const weights = loadRow(k, r, k.let("w_at", state.weightsAt.add(ky.mul(r.taps.words.length))), "");
      addRow(k, r, step, sums, weights, k.let("x_at", step.at.add(ky.mul(r.pitch))), "");
    });
  sums.forEach((sum, o) => {
    const to = step.to.add(r.outC.mul(step.before + o));
    r.output.store(to, state.ends.finish(sum.get()));
  });
}

/** How a row is cut: `turns` of a loop that makes outputs in groups of the sizes `looped`, then groups of the sizes `rest`. */
export interface RowCut {
  readonly looped: readonly number[];
  readonly turns: number;
  readonly rest: readonly number[];
}

/** Rows up to this long are written out where speed counts. */
const WRITTEN_OUT = 12;

/**
 * Held weights leave registers for two sums, or three where a row is odd; weights loaded for every group are used by up
 * to five. The groups of a turn start at an even output, so that all turns find their inputs in the same halves.
 */
export function cutRow(width: number, held: boolean, unroll: boolean): RowCut {
  if (!held && width <= 10) {
    const groups = Math.ceil(width / 5);
    return { looped: [], turns: 0, rest: Array.from({ length: groups }, (_, i) => Math.ceil((width - i) / groups)) };
  }
  if (!held) return { looped: [4], turns: width >> 2, rest: width % 4 === 0 ? [] : [width % 4] };
  const pairs = (count: number): number[] => Array.from({ length: count >> 1 }, (_, i) => (count % 2 === 1 && i === (count >> 1) - 1 ? 3 : 2));
  if (width === 1) return { looped: [], turns: 0, rest: [1] };
  if (width <= 3 || (unroll && width <= WRITTEN_OUT)) return { looped: [], turns: 0, rest: pairs(width) };
  const looped = unroll ? [2, 2, 2, 2] : [2];
  const turns = Math.floor((width - (width % 2 === 1 ? 3 : 0)) / (2 * looped.length));
  return { looped, turns, rest: pairs(width - turns * 2 * looped.length) };
}

function group(
  k: KernelBuilder,
  r: RowKernel,
  state: ChannelState,
  sizes: readonly number[],
  at: Expr,
  to: Expr,
  clip: readonly [Expr, Expr] | undefined,
): void {
  let before = 0;
  for (const count of sizes) {
    outputs(k, r, state, { at, to, before, count }, clip);
    before += count;
  }
}

/** One row of outputs: `row` is the word where its first window starts, `to` the element of its first output. */
function outputRow(k: KernelBuilder, r: RowKernel, state: ChannelState, row: Expr, to: Expr, clip: readonly [Expr, Expr] | undefined): void {
  const { looped, turns, rest } = cutRow(r.width, state.held !== undefined, r.unroll);
  const size = looped.reduce((sum, count) => sum + count, 0);
  const words = (size * r.strideW) / 2;
  if (turns > 0)
    k.for("j", 0, k.int("turns", turns), (j) => {
      group(k, r, state, looped, k.let("at", row.add(j.mul(words))), k.let("to", to.add(j.mul(r.outC.mul(size)))), clip);
    });
  if (rest.length === 0) return;
  if (turns === 0) return group(k, r, state, rest, row, to, clip);
  const done = k.int("turns", turns);
  group(k, r, state, rest, k.let("at", row.add(done.mul(words))), k.let("to", to.add(done.mul(r.outC.mul(size)))), clip);
}

/**
 * `count` rows of outputs of one channel. Scratch row y · stride + ky holds the input that output row y meets filter
 * row ky with; `plane` is its first word, `to` the first output, `clip` the filter rows of output row y that meet any input.
 */
export function outputRows(
  k: KernelBuilder,
  r: RowKernel,
  channel: Expr,
  plane: Expr,
  count: Expr,
  to: Expr,
  clip: (y: Expr) => readonly [Expr, Expr],
): void {
  const state = channelState(k, r, channel);
  const outRow = r.outC.mul(k.int("out_w", r.width));
  k.for("y", 0, count, (y) => {
    const row = k.let("row", plane.add(y.mul(r.strideH.mul(r.pitch))));
    outputRow(k, r, state, row, k.let("to_row", to.add(y.mul(outRow))), state.held === undefined ? clip(y) : undefined);
  });
}
