import { refuse } from "./refuse.ts";

/** What a PNG header says. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** Bits of one number. */
  readonly depth: number;
  /** 0 grey, 2 colour, 3 palette, 4 grey with alpha, 6 colour with alpha. */
  readonly colour: number;
  /** Numbers of one pixel. */
  readonly samples: number;
}

function paeth(left: number, up: number, corner: number): number {
  const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

/**
 * Undoes the filters of the rows in `raw`, in place. A row is one filter byte and `length` bytes; `step` is the
 * distance in bytes to the pixel on the left.
 */
export function unfilter(raw: Uint8Array, length: number, step: number, name: string): void {
  const stride = length + 1;
  for (let row = 0; row * stride < raw.length; row++) {
    const [at, filter] = [row * stride + 1, raw[row * stride]!];
    if (filter > 4) refuse(name, `row ${row} has the unknown filter ${filter}`);
    if (filter === 0) continue;
    for (let i = 0; i < length; i++) {
      const left = i >= step ? raw[at + i - step]! : 0;
      const up = row > 0 ? raw[at + i - stride]! : 0;
      const corner = i >= step && row > 0 ? raw[at + i - stride - step]! : 0;
      const guess = filter === 1 ? left : filter === 2 ? up : filter === 3 ? (left + up) >> 1 : paeth(left, up, corner);
      raw[at + i] = raw[at + i]! + guess;
    }
  }
}

/** The `index`-th number of a row. 16 bits give their upper 8, fewer than 8 stay small. */
function numberAt(row: Uint8Array, index: number, depth: number): number {
  if (depth === 16) return row[2 * index]!;
  if (depth === 8) return row[index]!;
  const bit = index * depth;
  return (row[bit >> 3]! >> (8 - depth - (bit & 7))) & ((1 << depth) - 1);
}

const PALETTE = 3;

/** Gives each pixel's grey, or red, green and blue, to `put(pixel, channel, value)`. */
export function unpackRow(
  row: Uint8Array,
  picture: Picture,
  palette: Uint8Array,
  width: number,
  put: (pixel: number, channel: number, value: number) => void,
): void {
  const { depth, colour, samples } = picture;
  const stretch = depth < 8 && colour !== PALETTE ? 255 / ((1 << depth) - 1) : 1;
  const channels = colour === 0 || colour === 4 ? 1 : 3;
  for (let i = 0; i < width; i++) {
    for (let c = 0; c < channels; c++) {
      if (colour === PALETTE) put(i, c, palette[3 * numberAt(row, i, depth) + c] ?? 0);
      else put(i, c, numberAt(row, i * samples + c, depth) * stretch);
    }
  }
}
