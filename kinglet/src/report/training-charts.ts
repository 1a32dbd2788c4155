import type { CurvePoint } from "./training-types.ts";

/** What a page with charts needs beside the common style. */
export const CHART_STYLE = `
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 380px), 1fr)); gap: 12px; }
.chart { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px 4px; }
figcaption { font-size: .9rem; color: var(--quiet); margin-bottom: .3em; }
svg text { font-size: 11px; fill: var(--quiet); font-variant-numeric: tabular-nums; }
@media (max-width: 519px) { svg text { font-size: 15px; } .chart svg { overflow: visible; } }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; } .curve.train, .curve.line0 { stroke: var(--bar2); } .curve.judge, .curve.line1 { stroke: var(--bar4); } .curve.line2 { stroke: var(--accent); }
circle.train { fill: var(--bar2); } circle.judge { fill: var(--bar4); } .key.train { background: var(--bar2); } .key.judge { background: var(--bar4); }
`;

const [WIDTH, HEIGHT] = [520, 220];
const [LEFT, RIGHT, TOP, BOTTOM] = [46, 12, 12, 28];

/** A share as a percentage, on an axis. */
const SHARES = { marks: [0, 0.25, 0.5, 0.75, 1], format: (v: number): string => `${100 * v} %` };

interface Axis {
  readonly marks: readonly number[];
  readonly format: (v: number) => string;
}

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

function upTo(values: readonly number[]): Axis {
  return { marks: ticks(Math.max(1e-6, ...values)), format: (v) => String(Number(v.toPrecision(3))) };
}

function chart(title: string, by: string, lines: readonly Line[], { marks, format }: Axis): string {
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
  const counts = shown
    .map((i) => `<text x="${x(i)}" y="${HEIGHT - 8}" text-anchor="${i === 0 ? "start" : i === count - 1 ? "end" : "middle"}">${i + 1}</text>`)
    .join("");
  const dots = (line: Line): string => (count > 1 ? "" : `<circle class="${line.className}" cx="${x(0)}" cy="${y(line.values[0] ?? 0)}" r="3"/>`);
  const drawn = lines.map((line) => `<path class="curve ${line.className}" d="${path(line.values, x, y)}"/>${dots(line)}`).join("");
  const legend = lines.map(({ name, className }) => `<li><i class="key ${className}"></i>${name}</li>`).join("");
  return `<figure class="chart"><figcaption>${title}</figcaption><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title} by ${by}">${grid}${counts}${drawn}</svg><ul class="legend">${legend}</ul></figure>`;
}

/** Loss and share of right answers over the epochs. */
export function learningCurves(curve: readonly CurvePoint[]): string {
  const losses = curve.map(({ loss }) => loss);
  const loss = chart("Loss", "epoch", [{ name: "training", className: "train", values: losses }], upTo(losses));
  const right: Line[] = [{ name: "training, while weights move", className: "train", values: curve.map(({ accuracy }) => accuracy) }];
  if (curve.some(({ validation }) => validation !== null))
    right.push({ name: "validation, after each epoch", className: "judge", values: curve.map(({ validation }) => validation) });
  return `<div class="charts">${loss}${chart("Right answers", "epoch", right, SHARES)}</div>`;
}

/** One number for each round of a federation. */
export function roundCurve(title: string, values: readonly number[], kind: "share" | "number"): string {
  return chart(title, "round", [{ name: "after each round", className: "judge", values }], kind === "share" ? SHARES : upTo(values));
}
