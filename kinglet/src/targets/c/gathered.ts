import type { Node } from "../../graph/index.ts";
import { type Buffer, type Expr, i32, intrinsic, type KernelBuilder, type KernelInstance, loadWord } from "../../loops/index.ts";
import { attributesOf, inputOf, outputOf, type WindowAttributes, type WindowSizes, windowSizes } from "../../ops/index.ts";
import { gatherPatch } from "./conv.ts";
import { convStream } from "./pointwise.ts";
import { scaledNotes } from "./scaled-layer.ts";
import { mayBeShort, storeTile, type Tile, tileMarks, type TileShape, tileOf, tilePixelsFor, unrollFor } from "./tile.ts";

/** Bytes of a window's row up to which odd rows are put together in registers. */
const MOST_WRITTEN_OUT = 16;

/** One pixel's window and the column of the tile that its widened inputs go into. */
interface GatheredWindow {
  readonly node: Node;
  readonly sizes: WindowSizes;
  readonly input: Buffer;
  readonly t: Tile;
  readonly column: Expr;
}

/** Group `g` of a column (see `widenPixels`). */
function storeGroup({ t, column }: GatheredWindow, group: Expr, word: Expr): void {
  const at = group.mul(2 * t.pixels).add(column);
  t.inputs.store(at, intrinsic("sxtb16", word));
  t.inputs.store(at.add(t.pixels), word.xor(0x007f007f));
}

/** Rows of whole words: each is widened where it lies. */
function widenWholeRows(k: KernelBuilder, w: GatheredWindow, corner: Expr, rowWords: number): void {
  const words = k.int("row_words", rowWords);
  const unroll = rowWords % 4 === 0 ? 4 : rowWords % 2 === 0 ? 2 : 1;
  k.for("ky", 0, w.sizes.filterH, (ky) => {
    const from = k.let("from", corner.add(ky.mul(w.sizes.inW.mul(w.sizes.inC))));
    const first = k.let("first", ky.mul(words));
    k.for(
      "i",
      0,
      words,
      (i) => {
        for (let u = 0; u < unroll; u++) storeGroup(w, first.add(i).add(u), k.let(`word${u}`, loadWord(w.input, from.add(i.add(u).mul(4)))));
      },
      unroll,
    );
  });
}

/** The four taps from byte `at` of rows of `length` bytes on, from two rows where they cross an edge; undefined taps are whatever lies there, their weights are 0. */
function wordAcross(k: KernelBuilder, w: GatheredWindow, rows: readonly Expr[], length: number, at: number, name: string): Expr {
  const [row, byte] = [Math.floor(at / length), at % length];
  if (byte + 4 <= length) return k.let(name, loadWord(w.input, rows[row]!.add(byte)));
  const here = k.let(`${name}_here`, loadWord(w.input, rows[row]!.add(length - 4)).shru(8 * (4 - length + byte)));
  const next = rows[row + 1];
  return next === undefined ? here : k.let(name, here.or(loadWord(w.input, next).shl(8 * (length - byte))));
}

/** Short rows of any length, put together in registers. */
function widenOddRows(k: KernelBuilder, w: GatheredWindow, corner: Expr, length: number, filterH: number): void {
  const rows = Array.from({ length: filterH }, (_, ky) => (ky === 0 ? corner : k.let(`row${ky}`, corner.add(w.sizes.inW.mul(w.sizes.inC).mul(ky)))));
  for (let g = 0; 4 * g < length * filterH; g++) storeGroup(w, i32(g), wordAcross(k, w, rows, length, 4 * g, `word${g}`));
}

/** How a window that lies inside the input is widened without a copy of it; undefined where that is not worth its code. */
function insideKernel(node: Node): ((k: KernelBuilder, w: GatheredWindow, corner: Expr) => void) | undefined {
  const a = attributesOf<WindowAttributes>(node);
  const [, filterH, filterW, channels] = inputOf(node, 1).shape as [number, number, number, number];
  const length = filterW * channels;
  if ((a.dilationH ?? 1) !== 1) return undefined;
  if (length % 4 === 0) return (k, w, corner) => widenWholeRows(k, w, corner, length / 4);
  const short = length >= 4 && length <= MOST_WRITTEN_OUT && length * filterH <= 4 * MOST_WRITTEN_OUT;
  return short ? (k, w, corner) => widenOddRows(k, w, corner, length, filterH) : undefined;
}

/** Batch, row and column of a flat pixel index. */
function positionOf(k: KernelBuilder, pixel: Expr, sizes: WindowSizes, batches: number): { n: Expr; oy: Expr; ox: Expr } {
  const line = k.let("line", pixel.div(sizes.outW));
  const n = batches === 1 ? i32(0) : k.let("n", line.div(sizes.outH));
  return { n, oy: batches === 1 ? line : line.sub(n.mul(sizes.outH)), ox: pixel.sub(line.mul(sizes.outW)) };
}

/** Widens the window of output pixel `pixel`; at a border by way of `patch`. */
function widenWindow(k: KernelBuilder, w: GatheredWindow, patch: Buffer, depth: Expr, pixel: Expr): void {
  const { node, sizes } = w;
  const a = attributesOf<WindowAttributes>(node);
  const { n, oy, ox } = positionOf(k, pixel, sizes, inputOf(node, 0).shape[0]!);
  const y0 = k.let("y0", oy.mul(k.int("stride_h", a.strideH)).sub(k.int("pad_top", a.padTop)));
  const x0 = k.let("x0", ox.mul(k.int("stride_w", a.strideW)).sub(k.int("pad_left", a.padLeft)));
  const gather = (): void => {
    gatherPatch(k, node, sizes, w.input, patch, n, y0, x0);
    k.for("group", 0, depth, (group) => storeGroup(w, group, k.let("word", loadWord(patch, group.mul(4)))));
  };
  const inside = insideKernel(node);
  if (inside === undefined) return gather();
  const rows = y0.ge(0).and(y0.add(sizes.filterH).le(sizes.inH));
  const columns = x0.ge(0).and(x0.add(sizes.filterW).le(sizes.inW));
  k.if(rows.and(columns), () => inside(k, w, k.let("corner", n.mul(sizes.inH).add(y0).mul(sizes.inW).add(x0).mul(sizes.inC))), gather);
}

/** A convolution with a window, in tiles: the windows of a tile's pixels are widened, then read by all channels. */
export function gatheredKernel(node: Node, shape: TileShape): ((k: KernelBuilder) => KernelInstance) | undefined {
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const pixelCount = y.shape[0]! * y.shape[1]! * y.shape[2]!;
  const tilePixels = tilePixelsFor(node, shape);
  const plain = (attributesOf<WindowAttributes>(node).dilationW ?? 1) === 1;
  const stream = plain && pixelCount >= tilePixels ? convStream(node) : undefined;
  if (stream === undefined) return undefined;
  return (k) => {
    const input = k.input(0, "x");
    const output = k.output(0, "y");
    const sizes = windowSizes(k, x, y, w.shape[1]!, w.shape[2]!);
    const pixels = k.int("pixels", pixelCount);
    const short = mayBeShort(pixelCount, tilePixels, shape);
    const t = tileOf(k, stream, tilePixels, y.shape[3]!, unrollFor(stream.depth / 4, shape));
    const patch = k.scratch("patch", "i8", stream.depth);
    k.for(
      "pixel",
      0,
      pixels,
      (pixel) => {
        k.for("column", 0, tilePixels, (column) => {
          const at = !short ? pixel.add(column) : pixel.add(column).min(pixels.sub(1));
          widenWindow(k, { node, sizes, input, t, column }, patch, t.groups, k.let("at_pixel", at));
        });
        const left = short ? k.let("left", pixels.sub(pixel)) : null;
        storeTile(k, t, output, k.let("to", pixel.mul(t.channels)), left);
      },
      tilePixels,
    );
    return {
      ...k.finish("conv2d_tile_s8", `2-D convolution in tiles of ${tilePixels} pixels by two channels.`, tileMarks(stream.depth / 4)),
      notes: scaledNotes(stream.layer),
    };
  };
}
