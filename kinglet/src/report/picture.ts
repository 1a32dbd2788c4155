const LEVELS = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
/** A blank and three blocks: lower half, upper half, both. */
const BLOCKS = [" ", "▄", "▀", "█"];
/** Ordered dithering by a matrix of 4 x 4 thresholds, for terminals without colour. */
const THRESHOLDS = [0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5].map((rank) => (rank + 0.5) / 16);

/** One line for a signal: each letter's height is the mean of its stretch between `low` and `high`. */
export function sparkline(values: ArrayLike<number>, width: number, low: number, high: number): string {
  const letters = Math.min(width, values.length);
  let out = "";
  for (let i = 0; i < letters; i++) {
    const [from, to] = [Math.floor((i * values.length) / letters), Math.max(Math.floor(((i + 1) * values.length) / letters), 1)];
    let sum = 0;
    for (let k = from; k < to; k++) sum += values[k]!;
    const share = high > low ? (sum / Math.max(1, to - from) - low) / (high - low) : 0;
    out += LEVELS[Math.min(LEVELS.length - 1, Math.max(0, Math.floor(share * LEVELS.length)))]!;
  }
  return out;
}

/** A picture with values from 0 to 1, `[height, width, channels]` of 1 or 3 channels. */
export interface TerminalPicture {
  readonly data: ArrayLike<number>;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

type Colour = readonly [red: number, green: number, blue: number];

/** Nearest pixel of the picture drawn at `rows` by `columns`. */
function pixel({ data, height, width, channels }: TerminalPicture, y: number, x: number, rows: number, columns: number): Colour {
  const [sourceY, sourceX] = [
    Math.min(height - 1, Math.floor(((y + 0.5) * height) / rows)),
    Math.min(width - 1, Math.floor(((x + 0.5) * width) / columns)),
  ];
  const at = (sourceY * width + sourceX) * channels;
  const value = (c: number): number => Math.min(1, Math.max(0, data[at + (channels >= 3 ? c : 0)]!));
  return [value(0), value(1), value(2)];
}

const bright = ([r, g, b]: Colour, y: number, x: number): boolean => 0.299 * r + 0.587 * g + 0.114 * b > THRESHOLDS[(y % 4) * 4 + (x % 4)]!;
const code = (colour: Colour): string => colour.map((value) => Math.round(255 * value)).join(";");

/**
 * Lines of half blocks, each letter two pixels high: in 24-bit colour, or dithered where `colour` is false. At most `columns` wide; the
 * picture keeps its proportions.
 */
export function halfBlocks(picture: TerminalPicture, columns: number, colour: boolean): string[] {
  const wide = Math.min(columns, picture.width);
  const rows = Math.max(2, Math.round((picture.height * wide) / picture.width / 2) * 2);
  const lines: string[] = [];
  for (let y = 0; y < rows; y += 2) {
    let line = "";
    for (let x = 0; x < wide; x++) {
      const [upper, lower] = [pixel(picture, y, x, rows, wide), pixel(picture, y + 1, x, rows, wide)];
      line += colour
        ? `\u001b[38;2;${code(upper)};48;2;${code(lower)}m▀`
        : BLOCKS[(bright(upper, y, x) ? 2 : 0) + (bright(lower, y + 1, x) ? 1 : 0)]!;
    }
    lines.push(colour ? `${line}\u001b[0m` : line);
  }
  return lines;
}
