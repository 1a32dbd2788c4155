import { formatTable } from "../kinglet/src/report/index.ts";

/** A table of the bench: figures go right, the first column left. The page and the terminal print the same one. */
export interface Table {
  readonly titles: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function terminal({ titles, rows }: Table): string {
  return formatTable(
    titles.map((title, i) => ({ title, align: i === 0 ? "left" : "right" })),
    rows,
  );
}

export function markdown({ titles, rows }: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(titles), `|${titles.map((_, i) => (i === 0 ? "---" : "---:")).join("|")}|`, ...rows.map(line)].join("\n");
}

export const NONE = "–";

export function figure(value: number | undefined): string {
  return value === undefined ? NONE : Math.round(value).toLocaleString("en-US");
}

export function ratio(value: number | undefined, of: number | undefined, digits = 3): string {
  return value === undefined || of === undefined ? NONE : (value / of).toFixed(digits);
}

/** A figure beside the most it may be. */
export function atMost(value: number | undefined, target: number | undefined): string {
  if (target === undefined) return NONE;
  return `≤ ${figure(target)} ${value === undefined ? NONE : verdict(value <= target)}`;
}

/** A share beside the largest it may be. */
export function shareAtMost(value: number | undefined, of: number | undefined, target: number | undefined): string {
  if (value === undefined || of === undefined) return NONE;
  return target === undefined ? ratio(value, of) : `${ratio(value, of)} ≤ ${target} ${verdict(value / of <= target)}`;
}

export function verdict(hit: boolean): string {
  return hit ? "hit" : "MISS";
}
