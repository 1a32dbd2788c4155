import type { Node } from "../../graph/index.ts";
import type { Expr, KernelBuilder, KernelInstance } from "../../loops/index.ts";
import { attributesOf, convMultipliers, inputOf, outputOf, type WindowAttributes } from "../../ops/index.ts";
import { rowForm } from "./layer.ts";
import { pairBias } from "./lanes.ts";
import { scaledNotes, planScaledLayer } from "./scaled-layer.ts";
import { packStream, PAIRS, type WeightStream } from "./stream.ts";
import { mayBeShort, storeTile, TILE_CHANNELS, tileMarks, type TileShape, tileOf, tilePixelsFor, unrollFor, widenPixels } from "./tile.ts";

export function isPointwise(node: Node): boolean {
  const a = attributesOf<WindowAttributes>(node);
  const w = inputOf(node, 1).shape;
  return w[1] === 1 && w[2] === 1 && a.strideH === 1 && a.strideW === 1 && a.padTop + a.padBottom + a.padLeft + a.padRight === 0;
}

/** The weights of a convolution as tiles read them; undefined where a channel has no proof, channels are odd or a lane does not fit. */
export function convStream(node: Node): WeightStream | undefined {
  const [channels, ...window] = inputOf(node, 1).shape as [number, ...number[]];
  if (channels % TILE_CHANNELS !== 0) return undefined;
  const layer = planScaledLayer(node, convMultipliers, "lanes", { ...rowForm(node, TILE_CHANNELS), scaledBias: pairBias });
  return layer === undefined
    ? undefined
    : packStream(
        layer,
        channels,
        window.reduce((p, d) => p * d, 1),
        TILE_CHANNELS,
      );
}

/** A 1x1 convolution: the inputs of a few pixels are widened once for all channels. */
export function pointwiseKernel(node: Node, shape: TileShape): ((k: KernelBuilder) => KernelInstance) | undefined {
  const y = outputOf(node).shape;
  const pixelCount = y[0]! * y[1]! * y[2]!;
  const tilePixels = tilePixelsFor(node, shape);
  const depth = inputOf(node, 1).shape[3]!;
  const stream = isPointwise(node) && depth % 4 === 0 && pixelCount >= tilePixels ? convStream(node) : undefined;
  if (stream === undefined) return undefined;
  return (k) => {
    const input = k.input(0, "x");
    const output = k.output(0, "y");
    const inC = k.int("in_c", depth);
    const pixels = k.int("pixels", pixelCount);
    const short = mayBeShort(pixelCount, tilePixels, shape);
    const t = tileOf(k, stream, tilePixels, y[3]!, unrollFor(depth / 4, shape));
    k.for(
      "pixel",
      0,
      pixels,
      (pixel) => {
        const at = (p: number): Expr => (!short || p === 0 ? pixel.add(p) : pixel.add(p).min(pixels.sub(1)));
        const from = Array.from({ length: tilePixels }, (_, p) => k.let(`from${p}`, at(p).mul(inC)));
        widenPixels(k, input, from, t.groups, t.inputs);
        const left = short ? k.let("left", pixels.sub(pixel)) : null;
        storeTile(k, t, output, k.let("to", pixel.mul(t.channels)), left);
      },
      tilePixels,
    );
    return {
      ...k.finish("pointwise_tile_s8", `1x1 convolution in tiles of ${tilePixels} pixels by two channels.`, tileMarks(depth / 4)),
      notes: scaledNotes(stream.layer, PAIRS),
    };
  };
}
