import type { Node } from "../../graph/index.ts";
import type { Expr, KernelBuilder, KernelInstance } from "../../loops/index.ts";
import { attributesOf, inputOf, outputOf, type Schedule, type WindowAttributes, windowSizes } from "../../ops/index.ts";
import { gatherPatch } from "./conv.ts";
import { fewPixelsKernel } from "./pair-dense.ts";
import { convStream, isPointwise, pointwiseKernel } from "./pointwise.ts";
import { storeTile, type TileShape, tileKernel, tilePixelsFor, widenPixels } from "./tile.ts";

/** Batch, row and column of a flat pixel index. */
function positionOf(k: KernelBuilder, pixel: Expr, sizes: ReturnType<typeof windowSizes>): { n: Expr; oy: Expr; ox: Expr } {
  const line = k.let("line", pixel.div(sizes.outW));
  const n = k.let("n", line.div(sizes.outH));
  return { n, oy: line.sub(n.mul(sizes.outH)), ox: pixel.sub(line.mul(sizes.outW)) };
}

/** A convolution whose windows are gathered: for first layers, whose few channels do not fill words. */
function gatheredKernel(node: Node, shape: TileShape): ((k: KernelBuilder) => KernelInstance) | undefined {
  const a = attributesOf<WindowAttributes>(node);
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const pixelCount = y.shape[0]! * y.shape[1]! * y.shape[2]!;
  const tilePixels = tilePixelsFor(pixelCount, shape);
  const stream = (a.dilationW ?? 1) === 1 && pixelCount >= tilePixels ? convStream(node) : undefined;
  if (stream === undefined) return undefined;
  return (k) => {
    const input = k.input(0, "x");
    const output = k.output(0, "y");
    const sizes = windowSizes(k, x, y, w.shape[1]!, w.shape[2]!);
    const pixels = k.int("pixels", pixelCount);
    const t = tileKernel(k, stream, tilePixels, y.shape[3]!, shape);
    const depth = k.int("depth", stream.depth);
    const patch = k.scratch("patch", "i8", stream.depth * tilePixels);
    k.for(
      "pixel",
      0,
      pixels,
      (pixel) => {
        k.for("p", 0, tilePixels, (p) => {
          const { n, oy, ox } = positionOf(k, k.let("at_pixel", pixel.add(p).min(pixels.sub(1))), sizes);
          const y0 = k.let("y0", oy.mul(k.int("stride_h", a.strideH)).sub(k.int("pad_top", a.padTop)));
          const x0 = k.let("x0", ox.mul(k.int("stride_w", a.strideW)).sub(k.int("pad_left", a.padLeft)));
          gatherPatch(k, node, sizes, input, patch, k.let("patch_start", p.mul(depth)), n, y0, x0);
        });
        const from = Array.from({ length: tilePixels }, (_, p) => depth.mul(p));
        widenPixels(k, patch, from, t.groups, t.tile);
        const left = pixelCount % tilePixels === 0 ? null : k.let("left", pixels.sub(pixel));
        storeTile(k, t, output, k.let("to", pixel.mul(t.channels)), left);
      },
      tilePixels,
    );
    return k.finish("conv2d_gathered_s8", "2-D convolution of gathered windows in tiles of two channels.", true);
  };
}

/** The tile where it applies, else `otherwise`. */
export function tileSchedule(shape: TileShape, otherwise: Schedule): Schedule {
  return (node) => {
    if (inputOf(node, 1).shape[3] !== inputOf(node, 0).shape[3]) return undefined;
    return (
      pointwiseKernel(node, shape) ?? (isPointwise(node) ? fewPixelsKernel(node, shape) : undefined) ?? gatheredKernel(node, shape) ?? otherwise(node)
    );
  };
}
