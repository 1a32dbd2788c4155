import type { Node } from "../../graph/index.ts";
import type { Buffer, Expr, KernelBuilder, KernelInstance } from "../../loops/index.ts";
import {
  attributesOf,
  convMultipliers,
  denseMultipliers,
  inputOf,
  type MultiplierRule,
  outputOf,
  type Schedule,
  type WindowAttributes,
  windowSizes,
} from "../../ops/index.ts";
import { rowForm } from "./layer.ts";
import { groupTaps, packPairRows, type PairShape, type PairTile, pairWord, storePairs } from "./pixel-pairs.ts";
import { isPointwise } from "./pointwise.ts";
import { planPortable, type PortablePlan } from "./portable-layer.ts";

interface PairLayer {
  readonly weights: Int8Array;
  readonly result: PortablePlan["result"];
  readonly taps: number;
  readonly group: number;
  readonly pixels: number;
  readonly shape: PairShape;
}

function pairLayer(node: Node, rule: MultiplierRule, shape: PairShape): PairLayer | undefined {
  const [w, y] = [inputOf(node, 1), outputOf(node)];
  const channels = w.shape[0]!;
  const pixels = y.shape.reduce((p, d) => p * d, 1) / channels;
  const used = { ...shape, channels: [shape.channels, 2, 1].find((n) => channels % n === 0)! };
  const plan = pixels < 2 * shape.pairs - 1 ? undefined : planPortable(node, rule, "pixelPairs", rowForm(node, used.channels));
  if (plan === undefined) return undefined;
  const taps = plan.weights.length / channels;
  const group = groupTaps(plan.weights, channels, taps);
  return group === 0 ? undefined : { ...plan, taps, group, pixels, shape: used };
}

function tileOf(k: KernelBuilder, node: Node, made: PairLayer): PairTile {
  const channels = inputOf(node, 1).shape[0]!;
  const depth = Math.ceil(made.taps / made.group) * made.group;
  return {
    weights: k.constant("w", "i8", packPairRows(made.weights, channels, made.taps, depth, made.shape.channels)),
    result: made.result(k),
    pairs: k.scratch("pairs", "i32", depth * made.shape.pairs),
    depth,
    group: made.group,
    channels: k.int("out_c", channels),
    shape: made.shape,
  };
}

/** Some pixels at a time. Those behind the last one are the last one again. */
function eachTile(k: KernelBuilder, { pixels, shape }: PairLayer, body: (places: readonly Expr[]) => void): void {
  const count = k.int("pixels", pixels);
  const size = 2 * shape.pairs;
  const place = (pixel: Expr, p: number): Expr =>
    p === 0 ? pixel : pixels % size === 0 ? pixel.add(p) : k.let(`pixel${p}`, pixel.add(p).min(count.sub(1)));
  k.for("pixel", 0, count, (pixel) => body(Array.from({ length: size }, (_, p) => place(pixel, p))), size);
}

function storePlaces(k: KernelBuilder, t: PairTile, output: Buffer, places: readonly Expr[]): void {
  storePairs(
    k,
    t,
    output,
    places.map((place, p) => k.let(`to${p}`, place.mul(t.channels))),
  );
}

/** A 1x1 convolution, or a fully connected layer of several rows. */
function rowsKernel(node: Node, rule: MultiplierRule, shape: PairShape): ((k: KernelBuilder) => KernelInstance) | undefined {
  const made = pairLayer(node, rule, shape);
  if (made === undefined) return undefined;
  return (k) => {
    const input = k.input(0, "x");
    const t = tileOf(k, node, made);
    const output = k.output(0, "y");
    const taps = k.int("taps", made.taps);
    eachTile(k, made, (places) => {
      const from = places.map((place, p) => k.let(`from${p}`, place.mul(taps)));
      k.for("tap", 0, taps, (tap) => {
        for (let q = 0; q < t.shape.pairs; q++) {
          const word = pairWord(input.load(from[2 * q]!.add(tap)), input.load(from[2 * q + 1]!.add(tap)));
          t.pairs.store(tap.mul(t.shape.pairs).add(q), word);
        }
      });
      storePlaces(k, t, output, places);
    });
    return k.finish("rows_pairs_s8", "Dot products of input rows, two pixels in one word.", { asWritten: true });
  };
}

interface Corner {
  readonly image: Expr;
  readonly y0: Expr;
  readonly x0: Expr;
}

/** Where the window of a flat output pixel starts. */
function cornerOf(k: KernelBuilder, a: WindowAttributes, sizes: ReturnType<typeof windowSizes>, pixel: Expr): Corner {
  const line = k.let("line", pixel.div(sizes.outW));
  const n = k.let("n", line.div(sizes.outH));
  return {
    image: k.let("image", n.mul(sizes.inH)),
    y0: k.let("y0", line.sub(n.mul(sizes.outH)).mul(k.int("stride_h", a.strideH)).sub(k.int("pad_top", a.padTop))),
    x0: k.let("x0", pixel.sub(line.mul(sizes.outW)).mul(k.int("stride_w", a.strideW)).sub(k.int("pad_left", a.padLeft))),
  };
}

interface PairGather {
  readonly k: KernelBuilder;
  readonly sizes: ReturnType<typeof windowSizes>;
  readonly input: Buffer;
  readonly zeroPoint: Expr;
  /** Stores a pair of inputs as tap `tap` of the window. */
  readonly store: (tap: Expr, x0: Expr, x1: Expr) => void;
}

/** One row of both windows, cell by cell; outside the input lies the zero point. */
function gatherCells({ k, sizes, input, zeroPoint, store }: PairGather, corners: readonly Corner[], rows: readonly Expr[], tap: Expr): void {
  k.for("kx", 0, sizes.filterW, (kx) => {
    const cells = corners.map(({ image, x0 }, p) => {
      const ix = k.let(`ix${p}`, x0.add(kx));
      const inside = k.let(`inside${p}`, rows[p]!.ge(0).and(rows[p]!.lt(sizes.inH)).and(ix.ge(0)).and(ix.lt(sizes.inW)));
      return { inside, at: k.let(`cell${p}`, image.add(rows[p]!).mul(sizes.inW).add(ix).mul(sizes.inC)) };
    });
    const to = k.let("to", tap.add(kx.mul(sizes.inC)));
    k.for("c", 0, sizes.inC, (c) => {
      const [first, second] = cells.map(({ inside, at }, p) => {
        const value = k.variable(`x${p}`, zeroPoint);
        k.if(inside.ne(0), () => value.set(input.load(at.add(c))));
        return value.get();
      }) as [Expr, Expr];
      store(to.add(c), first, second);
    });
  });
}

/** Puts the windows of two pixels side by side, row by row: what lies inside the input in one go. */
function gatherPair(g: PairGather, corners: readonly Corner[]): void {
  const { k, sizes, input } = g;
  const all = (conditions: readonly Expr[]): Expr => conditions.reduce((a, b) => a.and(b));
  const columns = k.let("columns_inside", all(corners.map(({ x0 }) => x0.ge(0).and(x0.add(sizes.filterW).le(sizes.inW)))));
  const run = k.let("run", sizes.filterW.mul(sizes.inC));
  k.for("ky", 0, sizes.filterH, (ky) => {
    const rows = corners.map(({ y0 }, p) => k.let(`iy${p}`, y0.add(ky)));
    const tap = k.let("tap", ky.mul(run));
    k.if(
      columns.ne(0).and(all(rows.map((row) => row.ge(0).and(row.lt(sizes.inH))))),
      () => {
        const [first, second] = corners.map(({ image, x0 }, p) => k.let(`row${p}`, image.add(rows[p]!).mul(sizes.inW).add(x0).mul(sizes.inC)));
        k.for("i", 0, run, (i) => g.store(tap.add(i), input.load(first!.add(i)), input.load(second!.add(i))));
      },
      () => gatherCells(g, corners, rows, tap),
    );
  });
}

/** A convolution with a window. */
function windowKernel(node: Node, shape: PairShape): ((k: KernelBuilder) => KernelInstance) | undefined {
  const a = attributesOf<WindowAttributes>(node);
  const made = pairLayer(node, convMultipliers, shape);
  if (made === undefined || (a.dilationW ?? 1) !== 1 || (a.dilationH ?? 1) !== 1) return undefined;
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  return (k) => {
    const input = k.input(0, "x");
    const t = tileOf(k, node, made);
    const output = k.output(0, "y");
    const sizes = windowSizes(k, x, y, w.shape[1]!, w.shape[2]!);
    const zeroPoint = k.int("input_zero_point", x.quantization!.zeroPoints[0]!);
    eachTile(k, made, (places) => {
      const corners = places.map((place) => cornerOf(k, a, sizes, place));
      for (let q = 0; q < t.shape.pairs; q++) {
        const store = (tap: Expr, x0: Expr, x1: Expr): void => t.pairs.store(tap.mul(t.shape.pairs).add(q), pairWord(x0, x1));
        gatherPair({ k, sizes, input, zeroPoint, store }, corners.slice(2 * q, 2 * q + 2));
      }
      storePlaces(k, t, output, places);
    });
    return k.finish("conv2d_pairs_s8", "2-D convolution, two pixels in one word.", { asWritten: true });
  };
}

/** Pairs of pixels for convolutions that fill a tile, else `otherwise`. */
export function pixelPairConvSchedule(shape: PairShape, otherwise: Schedule): Schedule {
  return (node, walk) => {
    if (inputOf(node, 1).shape[3] !== inputOf(node, 0).shape[3]) return otherwise(node, walk);
    return (isPointwise(node) ? rowsKernel(node, convMultipliers, shape) : windowKernel(node, shape)) ?? otherwise(node, walk);
  };
}

export function pixelPairDenseSchedule(shape: PairShape, otherwise: Schedule): Schedule {
  return (node, walk) => rowsKernel(node, denseMultipliers, shape) ?? otherwise(node, walk);
}
