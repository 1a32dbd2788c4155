import { plain } from "./format.ts";

/** One column of a table of text. */
export interface Column {
  readonly title: string;
  /** Figures go right (default left). */
  readonly align?: "left" | "right";
  /** Longer cells are cut with an ellipsis. */
  readonly most?: number;
}

/** Letters that take two cells on a terminal: East Asian wide and full-width forms, emoji. */
const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const ZERO = /\p{Mn}/u;

/** Terminal cells that a text takes. */
export function widthOf(text: string): number {
  let width = 0;
  for (const letter of text) width += ZERO.test(letter) ? 0 : WIDE.test(letter) ? 2 : 1;
  return width;
}

function pad(text: string, width: number, align: "left" | "right"): string {
  const space = " ".repeat(Math.max(0, width - widthOf(text)));
  return align === "right" ? space + text : text + space;
}

/**
 * A table as lines of text: titles, a rule, rows; columns two spaces apart. Cells are made harmless for a
 * terminal (`plain`). Pure: the caller prints. Ends without a line break.
 */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => columns.map((column, i) => plain(row[i] ?? "", column.most)));
  const widths = columns.map((column, i) => cells.reduce((most, row) => Math.max(most, widthOf(row[i]!)), widthOf(column.title)));
  const line = (row: readonly string[]): string =>
    columns
      .map((column, i) => pad(row[i]!, widths[i]!, column.align ?? "left"))
      .join("  ")
      .trimEnd();
  return [line(columns.map((column) => column.title)), widths.map((width) => "─".repeat(width)).join("  "), ...cells.map(line)].join("\n");
}
