import { escapeHtml } from "./markup.ts";
import type { CurvePoint, ShownMistake } from "./training-types.ts";

const [WIDTH, HEIGHT] = [520, 220];
const [LEFT, RIGHT, TOP, BOTTOM] = [46, 12, 12, 28];

interface Line {
  readonly name: string;
  readonly className: string;
  readonly values: readonly (number | null)[];
}

function path(values: readonly (number | null)[], x: (i: number) => number, y: (v: number) => number): string {
  const points = values.flatMap((value, i) => (value === null ? [] : [`${x(i).toFixed(1)},${y(value).toFixed(1)}`]));
  return points.length === 1 ? "" : `M${points.join("L")}`;
}

/** Four steps from 0 to a round number at or above `most`. */
function ticks(most: number): number[] {
  const raw = most / 4;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * unit).find((each) => each >= raw * 0.999)!;
  return [0, 1, 2, 3, 4].map((i) => i * step);
}

function chart(title: string, lines: readonly Line[], marks: readonly number[], format: (v: number) => string): string {
  const count = lines[0]!.values.length;
  const top = marks.at(-1)!;
  const x = (i: number): number => LEFT + ((WIDTH - LEFT - RIGHT) * i) / Math.max(1, count - 1);
  const y = (v: number): number => TOP + (HEIGHT - TOP - BOTTOM) * (1 - v / top);
  const grid = marks
    .map(
      (mark) =>
        `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(mark)}" y2="${y(mark)}"/><text x="${LEFT - 6}" y="${y(mark) + 4}" text-anchor="end">${format(mark)}</text>`,
    )
    .join("");
  const shown = [...new Set([0, Math.floor((count - 1) / 2), count - 1])];
  const epochs = shown
    .map((i) => `<text x="${x(i)}" y="${HEIGHT - 8}" text-anchor="${i === 0 ? "start" : i === count - 1 ? "end" : "middle"}">${i + 1}</text>`)
    .join("");
  const dots = (line: Line): string => (count > 1 ? "" : `<circle class="${line.className}" cx="${x(0)}" cy="${y(line.values[0] ?? 0)}" r="3"/>`);
  const drawn = lines.map((line) => `<path class="curve ${line.className}" d="${path(line.values, x, y)}"/>${dots(line)}`).join("");
  const legend = lines.map(({ name, className }) => `<li><i class="key ${className}"></i>${name}</li>`).join("");
  return `<figure class="chart"><figcaption>${title}</figcaption><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title} by epoch">${grid}${epochs}${drawn}</svg><ul class="legend">${legend}</ul></figure>`;
}

/** Loss and share of right answers over the epochs. */
export function learningCurves(curve: readonly CurvePoint[]): string {
  if (curve.length === 0) return "<p>No training is recorded for this network.</p>";
  const losses = curve.map(({ loss }) => loss);
  const loss = chart("Loss", [{ name: "training", className: "train", values: losses }], ticks(Math.max(1e-6, ...losses)), (v) =>
    String(Number(v.toPrecision(3))),
  );
  const right: Line[] = [{ name: "training, while weights move", className: "train", values: curve.map(({ accuracy }) => accuracy) }];
  if (curve.some(({ validation }) => validation !== null))
    right.push({ name: "validation, after each epoch", className: "judge", values: curve.map(({ validation }) => validation) });
  return `<div class="charts">${loss}${chart("Right answers", right, [0, 0.25, 0.5, 0.75, 1], (v) => `${100 * v} %`)}</div>`;
}

/** An uncompressed bitmap: the one picture format that needs no code to speak of. */
function bitmap(data: ArrayLike<number>, height: number, width: number, channels: number): string {
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
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++) {
        // Rows from the bottom, blue first.
        const value = data[(y * width + x) * channels + (channels >= 3 ? 2 - c : 0)]!;
        bytes[54 + (height - 1 - y) * row + 3 * x + c] = Math.round(255 * Math.min(1, Math.max(0, value)));
      }
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return `data:image/bmp;base64,${btoa(text)}`;
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

/** Cards of samples that were taken for something else. */
export function mistakeCards(mistakes: readonly ShownMistake[]): string {
  if (mistakes.length === 0) return "<p>There are none.</p>";
  const cards = mistakes.map((mistake) => {
    const [h, w, c] = mistake.shape;
    const drawn = c === undefined ? signal(mistake) : `<img alt="the picture" src="${bitmap(mistake.data, h!, w!, c)}">`;
    return `<li>${drawn}<p><b>${escapeHtml(mistake.label, 40)}</b> taken for <b class="bad">${escapeHtml(mistake.answer, 40)}</b></p><p class="quiet"><code>${escapeHtml(mistake.source, 60)}</code></p></li>`;
  });
  return `<ul class="mistakes">${cards.join("")}</ul>`;
}
