import type { Node } from "../../graph/index.ts";
import type { Expr, KernelBuilder, KernelInstance } from "../../loops/index.ts";
import { attributesOf, convMultipliers, inputOf, outputOf, type Schedule, type WindowAttributes, windowSizes } from "../../ops/index.ts";
import { gatherPatch, isPointwise } from "./conv.ts";
import { rowForm } from "./layer.ts";
import { packLanes, pairBias } from "./lanes.ts";
import { channelTable, planScaledLayer, type ScaledLayer, scaledResult, wordNames } from "./scaled-layer.ts";
import { storeTile, TILE_CHANNELS, TILE_PIXELS, type TileKernel, widenPixel } from "./tile.ts";

/** Groups of four taps in a turn of the inner loop: two kinds are worth their code, a third is not. */
function groupsFor(depth: number): number {
  return depth % 16 === 0 ? 4 : 1;
}

interface TileLayer {
  readonly plan: ScaledLayer;
  readonly weights: Int8Array;
  /** Taps, filled up to a multiple of four. */
  readonly depth: number;
  readonly channels: number;
  readonly pixels: number;
}

/** What the tile needs: even channels, a full tile of pixels, lanes and sums that fit; for 1x1 also whole words. */
function tileLayer(node: Node, pointwise: boolean): TileLayer | undefined {
  const [w, y] = [inputOf(node, 1), outputOf(node)];
  const channels = w.shape[0]!;
  const taps = w.shape[1]! * w.shape[2]! * w.shape[3]!;
  const pixels = y.shape[0]! * y.shape[1]! * y.shape[2]!;
  if (channels % TILE_CHANNELS !== 0 || pixels < TILE_PIXELS || (pointwise && taps % 4 !== 0)) return undefined;
  const plan = planScaledLayer(node, convMultipliers, "tile", { ...rowForm(node, TILE_CHANNELS), scaledBias: pairBias });
  const weights = plan === undefined ? undefined : packLanes(plan.weights, channels, taps, TILE_CHANNELS);
  return plan === undefined || weights === undefined ? undefined : { plan, weights, depth: Math.ceil(taps / 4) * 4, channels, pixels };
}

/** Batch, row and column of a flat pixel index. */
function positionOf(k: KernelBuilder, pixel: Expr, sizes: ReturnType<typeof windowSizes>): { n: Expr; oy: Expr; ox: Expr } {
  const line = k.let("line", pixel.div(sizes.outW));
  const n = k.let("n", line.div(sizes.outH));
  return { n, oy: line.sub(n.mul(sizes.outH)), ox: pixel.sub(line.mul(sizes.outW)) };
}

/** Convolution in tiles of four pixels by two channels: the inputs of four pixels are widened once for all channels. */
function tileKernel(node: Node): ((k: KernelBuilder) => KernelInstance) | undefined {
  const a = attributesOf<WindowAttributes>(node);
  const pointwise = isPointwise(node);
  const made = tileLayer(node, pointwise);
  if (made === undefined || (a.dilationW ?? 1) !== 1) return undefined;
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  return (k) => {
    const input = k.input(0, "x");
    const table = k.constant("channel", "i32", channelTable(made.plan, TILE_CHANNELS));
    const output = k.output(0, "y");
    const depth = k.int("depth", made.depth);
    const pixels = k.int("pixels", made.pixels);
    const t: TileKernel = {
      table,
      words: wordNames(made.plan).length + 1,
      result: scaledResult(k, made.plan),
      weights: k.constant("w", "i8", made.weights),
      tile: k.scratch("tile", "i32", 2 * made.depth),
      depth,
      groups: groupsFor(made.depth),
      channels: k.int("out_c", made.channels),
    };
    const patch = pointwise ? undefined : { buffer: k.scratch("patch", "i8", made.depth), sizes: windowSizes(k, x, y, w.shape[1]!, w.shape[2]!) };
    k.for(
      "pixel",
      0,
      pixels,
      (pixel) => {
        k.for("p", 0, TILE_PIXELS, (p) => {
          const at = k.let("at_pixel", pixel.add(p).min(pixels.sub(1)));
          if (patch === undefined) return widenPixel(k, input, k.let("from", at.mul(depth)), depth, t.tile, p);
          const { n, oy, ox } = positionOf(k, at, patch.sizes);
          const y0 = k.let("y0", oy.mul(k.int("stride_h", a.strideH)).sub(k.int("pad_top", a.padTop)));
          const x0 = k.let("x0", ox.mul(k.int("stride_w", a.strideW)).sub(k.int("pad_left", a.padLeft)));
          gatherPatch(k, node, patch.sizes, input, patch.buffer, n, y0, x0);
          widenPixel(k, patch.buffer, k.int("patch_start", 0), depth, t.tile, p);
        });
        const left = made.pixels % TILE_PIXELS === 0 ? null : k.let("left", pixels.sub(pixel));
        storeTile(k, t, output, k.let("to", pixel.mul(t.channels)), left);
      },
      TILE_PIXELS,
    );
    return k.finish(pointwise ? "pointwise_tile_s8" : "conv2d_tile_s8", "2-D convolution in tiles of four pixels by two channels.");
  };
}

/** The tile where it applies, else `otherwise`. */
export function tileSchedule(otherwise: Schedule): Schedule {
  return (node) => {
    if (inputOf(node, 1).shape[3] !== inputOf(node, 0).shape[3]) return undefined;
    return tileKernel(node) ?? otherwise(node);
  };
}
