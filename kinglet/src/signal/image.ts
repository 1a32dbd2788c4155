import type { GraphBuilder, Value } from "../graph/index.ts";
import { addNode, asFloat, binary, floats, misuse } from "./node.ts";

export interface ResizeOptions {
  readonly height: number;
  readonly width: number;
  readonly method?: "bilinear" | "nearest";
}

/** Images [n, h, w, c] → [n, height, width, c], as tf.image.resize (half-pixel centres, no antialiasing). */
export function resizeImage(b: GraphBuilder, x: Value, { height, width, method = "bilinear" }: ResizeOptions): Value {
  const op = method === "bilinear" ? "resizeBilinear" : "resizeNearest";
  return addNode(b, op, [asFloat(b, x)], { height, width, alignCorners: false, halfPixelCenters: true }, "resized");
}

export interface CropOptions {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/** A part of every image [n, h, w, c] → [n, height, width, c]. */
export function cropImage(b: GraphBuilder, x: Value, { top, left, height, width }: CropOptions): Value {
  const [n, , , channels] = x.shape as [number, number, number, number];
  return addNode(b, "slice", [x], { begin: [0, top, left, 0], size: [n, height, width, channels] }, "cropped");
}

export interface NormaliseOptions {
  /** One number, or one for each channel (the last dimension). */
  readonly mean: number | readonly number[];
  readonly std: number | readonly number[];
}

/** (x − mean) / std as float32; the division is a product with 1 / std. */
export function normalise(b: GraphBuilder, x: Value, { mean, std }: NormaliseOptions): Value {
  const channels = x.shape[x.shape.length - 1]!;
  const constant = (name: string, given: number | readonly number[], of: (v: number) => number): Value => {
    const list = typeof given === "number" ? [given] : given;
    if (list.length !== 1 && list.length !== channels) misuse(`${list.length} numbers do not fit ${channels} channels`);
    return floats(b, name, [list.length], Float32Array.from(list, of));
  };
  if ((typeof std === "number" ? [std] : std).some((s) => !(s > 0))) misuse("a standard deviation is not positive");
  const centered = binary(
    b,
    "sub",
    asFloat(b, x),
    constant("mean", mean, (v) => v),
    "centered",
  );
  return binary(
    b,
    "mul",
    centered,
    constant("inverse_std", std, (v) => 1 / v),
    "normalised",
  );
}

/** Weights of red, green and blue as tf.image.rgb_to_grayscale has them. */
const GREY = Float32Array.of(0.2989, 0.587, 0.114);

/** Colours [n, h, w, 3] → brightness [n, h, w, 1], float32. */
export function grey(b: GraphBuilder, x: Value): Value {
  if (x.shape[x.shape.length - 1] !== 3) misuse(`[${x.shape.join(",")}] has no red, green and blue`);
  return addNode(b, "batchMatmul", [asFloat(b, x), floats(b, "grey_weights", [3, 1], GREY)], { adjX: false, adjY: false }, "grey");
}
