import type { SampleArray } from "./readers/index.ts";

/** A picture, `[height, width, channels]`. */
export interface PictureSize {
  readonly height: number;
  readonly width: number;
}

interface Span {
  readonly first: number;
  readonly weights: readonly number[];
}

/** For every output position the inputs it covers: each by the share of it that lies inside, or the two nearest when enlarging. */
function spans(from: number, to: number): Span[] {
  const step = from / to;
  return Array.from({ length: to }, (_, i) => (step > 1 ? covered(i * step, (i + 1) * step, from) : between((i + 0.5) * step - 0.5, from)));
}

function covered(start: number, end: number, size: number): Span {
  const first = Math.floor(start);
  const last = Math.min(size, Math.ceil(end - 1e-9));
  const weights: number[] = [];
  for (let i = first; i < last; i++) weights.push((Math.min(end, i + 1) - Math.max(start, i)) / (end - start));
  return { first, weights };
}

function between(position: number, size: number): Span {
  const at = Math.min(Math.max(position, 0), size - 1);
  const first = Math.min(Math.floor(at), size - 1);
  const share = at - first;
  return share === 0 || first + 1 >= size ? { first, weights: [1] } : { first, weights: [1 - share, share] };
}

/**
 * Resizes a picture `[h, w, c]`: shrinking takes the mean of the area that a pixel covers, enlarging is bilinear with half-pixel
 * centres. Gives float32 values that are rounded where `data` holds integers.
 */
export function resizePicture<T extends SampleArray>(data: T, shape: readonly number[], size: PictureSize): T {
  const [height, width, channels] = shape as [number, number, number];
  const [rows, columns] = [spans(height, size.height), spans(width, size.width)];
  // One direction after the other: the middle picture has the new width and the old height.
  const middle = new Float32Array(height * size.width * channels);
  for (let y = 0; y < height; y++)
    columns.forEach(({ first, weights }, x) => {
      for (let c = 0; c < channels; c++)
        middle[(y * size.width + x) * channels + c] = weights.reduce(
          (sum, weight, i) => sum + weight * data[(y * width + first + i) * channels + c]!,
          0,
        );
    });
  const out = new (data.constructor as new (length: number) => T)(size.height * size.width * channels);
  const row = size.width * channels;
  rows.forEach(({ first, weights }, y) => {
    for (let i = 0; i < row; i++) {
      const value = weights.reduce((sum, weight, k) => sum + weight * middle[(first + k) * row + i]!, 0);
      out[y * row + i] = out instanceof Float32Array ? value : Math.round(value);
    }
  });
  return out;
}

/** Luma of red, green and blue (ITU-R BT.601), rounded where the data holds integers: `[h, w, 3]` to `[h, w, 1]`. */
export function toGrey<T extends SampleArray>(data: T): T {
  const out = new (data.constructor as new (length: number) => T)(data.length / 3);
  for (let i = 0; i < out.length; i++) {
    const value = 0.299 * data[3 * i]! + 0.587 * data[3 * i + 1]! + 0.114 * data[3 * i + 2]!;
    out[i] = out instanceof Float32Array ? value : Math.round(value);
  }
  return out;
}

/** Grey to red, green and blue alike: `[h, w, 1]` to `[h, w, 3]`. */
export function toColour<T extends SampleArray>(data: T): T {
  const out = new (data.constructor as new (length: number) => T)(3 * data.length);
  for (let i = 0; i < out.length; i++) out[i] = data[Math.floor(i / 3)]!;
  return out;
}
