import { plain } from "./format.ts";

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Text from anywhere as HTML text or attribute value; names in files are hostile. */
export function escapeHtml(text: string, most = 400): string {
  return plain(text, most).replace(/[&<>"']/g, (letter) => ENTITIES[letter]!);
}

/** The telling end of a name such as `model/block_1/conv;model/block_1/relu`. */
export function shortName(name: string): string {
  const first = name.split(";", 1)[0]!;
  return first.split("/").findLast((part) => part !== "") ?? name;
}

/** A length in per cent of its container, short enough to read. */
export function cssPercent(part: number, whole: number): string {
  return `${Number(((100 * part) / Math.max(1, whole)).toFixed(3))}%`;
}

/** A bar for the eye beside a figure that says the same; hidden from screen readers. */
export function bar(part: number, whole: number, className = ""): string {
  if (part <= 0 || whole <= 0) return "";
  return `<span class="bar ${className}" aria-hidden="true"><i style="width:${cssPercent(Math.min(part, whole), whole)}"></i></span>`;
}

export interface HtmlColumn {
  readonly title: string;
  readonly number?: boolean;
}

/** A table with a caption; cells are HTML already, the first of each row is its heading. */
export function htmlTable(
  caption: string,
  columns: readonly HtmlColumn[],
  rows: readonly (readonly string[])[],
  rowClasses: readonly string[] = [],
): string {
  const classOf = (column: HtmlColumn): string => (column.number === true ? ' class="num"' : "");
  const head = columns.map((column) => `<th scope="col"${classOf(column)}>${escapeHtml(column.title)}</th>`).join("");
  const body = rows.map((row, at) => {
    const cells = columns
      .map((column, i) => (i === 0 ? `<th scope="row"${classOf(column)}>${row[i] ?? ""}</th>` : `<td${classOf(column)}>${row[i] ?? ""}</td>`))
      .join("");
    return `<tr${rowClasses[at] ? ` class="${rowClasses[at]}"` : ""}>${cells}</tr>`;
  });
  return `<div class="scroll" tabindex="0" role="region" aria-label="${escapeHtml(caption)}"><table><caption>${escapeHtml(caption)}</caption><thead><tr>${head}</tr></thead><tbody>${body.join("\n")}</tbody></table></div>`;
}
