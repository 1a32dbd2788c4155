import { escapeHtml } from "./markup.ts";
import type { ShownMistake } from "./training-types.ts";

/** An uncompressed bitmap: the one picture format that needs no code to speak of. */
function bitmap(height: number, width: number, colourAt: (y: number, x: number) => readonly [red: number, green: number, blue: number]): string {
  const row = Math.ceil((width * 3) / 4) * 4;
  const bytes = new Uint8Array(54 + row * height);
  const view = new DataView(bytes.buffer);
  bytes.set([0x42, 0x4d]);
  for (const [at, value] of [
    [2, bytes.length],
    [10, 54],
    [14, 40],
    [18, width],
    [22, height],
    [34, row * height],
  ] as const)
    view.setUint32(at, value, true);
  view.setUint16(26, 1, true);
  view.setUint16(28, 24, true);
  // Rows from the bottom, blue first.
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      [...colourAt(y, x)].reverse().forEach((value, c) => {
        bytes[54 + (height - 1 - y) * row + 3 * x + c] = Math.round(255 * Math.min(1, Math.max(0, value)));
      });
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return `data:image/bmp;base64,${btoa(text)}`;
}

function picture({ data, shape }: ShownMistake): string {
  const [height, width, channels] = shape as [number, number, number];
  const value = (y: number, x: number, c: number): number => data[(y * width + x) * channels + (channels >= 3 ? c : 0)]!;
  return `<img alt="the picture" src="${bitmap(height, width, (y, x) => [value(y, x, 0), value(y, x, 1), value(y, x, 2)])}">`;
}

/** From night to the gold of the bird's crest; equally far for the eye, also without colours. */
const HEAT = [
  [0.07, 0.09, 0.13],
  [0.12, 0.24, 0.3],
  [0.28, 0.42, 0.28],
  [0.62, 0.6, 0.2],
  [0.98, 0.86, 0.42],
] as const;

function heat(value: number): [number, number, number] {
  const at = Math.min(1, Math.max(0, value)) * (HEAT.length - 1);
  const low = Math.min(HEAT.length - 2, Math.floor(at));
  const mixed = (c: number): number => HEAT[low]![c]! + (at - low) * (HEAT[low + 1]![c]! - HEAT[low]![c]!);
  return [mixed(0), mixed(1), mixed(2)];
}

function heard({ data, frames, bands }: NonNullable<ShownMistake["spectrogram"]>): string {
  return `<img class="heard" alt="its spectrogram, low tones at the bottom" src="${bitmap(bands, frames, (y, x) => heat(data[x * bands + bands - 1 - y]!))}">`;
}

const [LINE_WIDTH, LINE_HEIGHT, MOST_POINTS, MOST_LINES] = [200, 72, 200, 6];

/** A channel as points: each column from its lowest to its highest value, so that short peaks stay visible. */
function trace(data: ArrayLike<number>, length: number, channels: number, c: number, y: (v: number) => number): string {
  const columns = Math.min(MOST_POINTS, length);
  const points: string[] = [];
  for (let i = 0; i < columns; i++) {
    const [from, to] = [Math.floor((i * length) / columns), Math.floor(((i + 1) * length) / columns)];
    let [low, high] = [Infinity, -Infinity];
    for (let t = from; t < to; t++) [low, high] = [Math.min(low, data[t * channels + c]!), Math.max(high, data[t * channels + c]!)];
    const x = ((i + 0.5) * LINE_WIDTH) / columns;
    points.push(`${x.toFixed(1)},${y(low).toFixed(1)}`, ...(high > low ? [`${x.toFixed(1)},${y(high).toFixed(1)}`] : []));
  }
  return `M${points.join("L")}`;
}

function signal({ data, shape }: ShownMistake): string {
  const [length, channels] = shape as [number, number];
  const [low, high] = data.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)] as [number, number], [Infinity, -Infinity] as [number, number]);
  const y = (v: number): number => 4 + (LINE_HEIGHT - 8) * (high > low ? 1 - (v - low) / (high - low) : 0.5);
  const lines = Array.from(
    { length: Math.min(MOST_LINES, channels) },
    (_, c) => `<path class="curve line${c % 3}" d="${trace(data, length, channels, c, y)}"/>`,
  );
  return `<svg viewBox="0 0 ${LINE_WIDTH} ${LINE_HEIGHT}" role="img" aria-label="the signal">${lines.join("")}</svg>`;
}

/** A file with the folder that it lies in: what comes before is the same for all. */
const tail = (path: string): string => path.split("/").slice(-2).join("/");

/** Cards of samples that were taken for something else. */
export function mistakeCards(mistakes: readonly ShownMistake[]): string {
  if (mistakes.length === 0) return "<p>There are none.</p>";
  const cards = mistakes.map((mistake) => {
    const { shape, spectrogram, label, answer, source } = mistake;
    const drawn = shape.length === 3 ? picture(mistake) : signal(mistake) + (spectrogram === undefined ? "" : heard(spectrogram));
    return `<li>${drawn}<p><b>${escapeHtml(label, 40)}</b> taken for <b class="bad">${escapeHtml(answer, 40)}</b></p><p class="quiet"><code>${escapeHtml(tail(source), 60)}</code></p></li>`;
  });
  return `<ul class="mistakes">${cards.join("")}</ul>`;
}
