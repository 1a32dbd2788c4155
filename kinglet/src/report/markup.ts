import { plain } from "./format.ts";

/** The bird's crest: a gold stripe between two dark ones. */
export const MARK = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M3 17a9 9 0 0 1 18 0z" fill="#6d8b36"/><path d="M6.5 9.8C9 6 15 6 17.5 9.8L12 12z" fill="#23271e"/><path d="M8.6 8.4C10.5 6.6 13.5 6.6 15.4 8.4L12 10.8z" fill="#f2b01e"/><circle cx="16" cy="13.5" r="1.3" fill="#23271e"/></svg>`;

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

/** A figure with its name above and a note below, for a list of the class "cards"; all three are HTML already. */
export function card(title: string, figure: string, note: string): string {
  return `<div class="card"><dt>${title}</dt><dd><strong>${figure}</strong><span>${note}</span></dd></div>`;
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
