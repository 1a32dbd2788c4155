import type { Shape } from "../../base/index.ts";
import { between, unit } from "../seed.ts";
import type { Augment } from "./augment.ts";

/** Builds a picture of the same size whose pixel (y, x) is the source's pixel `from(y, x)`, or 0 outside. */
function rearrange(sample: Float32Array, shape: Shape, from: (y: number, x: number) => readonly [number, number]): Float32Array {
  const [height, width, channels] = shape as [number, number, number];
  const out = new Float32Array(sample.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [sourceY, sourceX] = from(y, x);
      if (sourceY < 0 || sourceY >= height || sourceX < 0 || sourceX >= width) continue;
      const at = (sourceY * width + sourceX) * channels;
      for (let c = 0; c < channels; c++) out[(y * width + x) * channels + c] = sample[at + c]!;
    }
  return out;
}

/** Mirrors left and right, with probability `share`. */
export function flipHorizontal(share = 0.5): Augment {
  return (sample, shape, random) => (unit(random) < share ? rearrange(sample, shape, (y, x) => [y, shape[1]! - 1 - x]) : sample.slice());
}

/** Mirrors top and bottom, with probability `share`. */
export function flipVertical(share = 0.5): Augment {
  return (sample, shape, random) => (unit(random) < share ? rearrange(sample, shape, (y, x) => [shape[0]! - 1 - y, x]) : sample.slice());
}

/** Pads with `padding` zeros on every side and cuts the old size out at a random place. */
export function randomCrop(padding: number): Augment {
  return (sample, shape, random) => {
    const [dy, dx] = [random.int(-padding, padding), random.int(-padding, padding)];
    return rearrange(sample, shape, (y, x) => [y + dy, x + dx]);
  };
}

const clip = (value: number): number => Math.min(1, Math.max(0, value));

/** Adds one number from -most to most to all values, and keeps them in [0, 1]. */
export function brightness(most: number): Augment {
  return (sample, _shape, random) => {
    const change = between(random, -most, most);
    return sample.map((value) => clip(value + change));
  };
}

/** Stretches all values from the picture's mean by a factor from 1 - most to 1 + most, and keeps them in [0, 1]. */
export function contrast(most: number): Augment {
  return (sample, _shape, random) => {
    const factor = between(random, 1 - most, 1 + most);
    const mean = sample.reduce((sum, value) => sum + value, 0) / sample.length;
    return sample.map((value) => clip(mean + factor * (value - mean)));
  };
}

/** Makes colours stronger or weaker: moves each pixel from its grey by a factor from 1 - most to 1 + most. Grey pictures stay as they are. */
export function colour(most: number): Augment {
  return (sample, shape, random) => {
    const factor = between(random, 1 - most, 1 + most);
    if (shape.at(-1) !== 3) return sample.slice();
    const out = new Float32Array(sample.length);
    for (let i = 0; i < sample.length; i += 3) {
      const grey = 0.299 * sample[i]! + 0.587 * sample[i + 1]! + 0.114 * sample[i + 2]!;
      for (let c = 0; c < 3; c++) out[i + c] = clip(grey + factor * (sample[i + c]! - grey));
    }
    return out;
  };
}
