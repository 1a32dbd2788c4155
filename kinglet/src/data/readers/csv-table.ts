import { refuse } from "./refuse.ts";

/** One line of a table. `cells` is null for a line that divides recordings: blank, or dashes in every column. */
export interface CsvRow {
  readonly line: number;
  readonly cells: readonly string[] | null;
}

export interface CsvTable {
  /** Names of the columns: the header's, or "1", "2", … where the file has none. */
  readonly names: readonly string[];
  readonly hasHeader: boolean;
  /** True where a line of dashes divides recordings. */
  readonly divided: boolean;
  /** The separator is ";" and numbers are written with a comma. */
  readonly decimalComma: boolean;
  rows(): Iterable<CsvRow>;
}

const SEPARATORS = [",", ";", "\t"] as const;
const MOST_COLUMNS = 100_000;

function separatorOf(line: string): string | RegExp {
  const counts = SEPARATORS.map((separator) => line.split(separator).length);
  const most = Math.max(...counts);
  // A line with ";" separates by it, since its commas may be decimal ones.
  if (counts[1]! > 1) return ";";
  return most > 1 ? SEPARATORS[counts.indexOf(most)]! : /\s+/;
}

/** Splits where quotes enclose separators; a quote inside quotes is doubled (RFC 4180). */
function splitQuoted(line: string, separator: string | RegExp): string[] {
  const cells: string[] = [];
  let [cell, quoted] = ["", false];
  for (let i = 0; i < line.length; i++) {
    const letter = line[i]!;
    if (letter === '"') {
      if (quoted && line[i + 1] === '"') cell += line[++i];
      else quoted = !quoted;
    } else if (!quoted && (typeof separator === "string" ? letter === separator : separator.test(letter))) {
      cells.push(cell);
      cell = "";
    } else cell += letter;
  }
  return [...cells, cell];
}

function split(line: string, separator: string | RegExp): string[] {
  const cells = line.includes('"') ? splitQuoted(line, separator) : line.split(separator);
  return cells.map((cell) => cell.trim());
}

function* linesOf(text: string): Iterable<[number, string]> {
  let number = 1;
  for (let at = 0; at < text.length; number++) {
    const end = text.indexOf("\n", at);
    yield [number, text.slice(at, end < 0 ? text.length : end).trim()];
    at = end < 0 ? text.length : end + 1;
  }
}

const isDivider = (cells: readonly string[]): boolean => cells.every((cell) => cell === "-" || cell === "") && cells.length > 1;

/** The number a cell holds, or NaN. */
export function numberIn(cell: string, decimalComma: boolean): number {
  const text = decimalComma ? cell.replace(",", ".") : cell;
  return text === "" ? Number.NaN : Number(text);
}

function firstRow(text: string): [number, string] | null {
  for (const [number, line] of linesOf(text)) if (line !== "" && /[^-,;\s]/.test(line)) return [number, line];
  return null;
}

/** Whether a cell is meant as a number, even one that is refused later. */
const isNumeric = (cell: string, decimalComma: boolean): boolean =>
  cell === "" || /^[-+]?(nan|inf(inity)?)$/i.test(cell) || !Number.isNaN(numberIn(cell, decimalComma));

/**
 * Reads the frame of a table of text: separator (comma, semicolon, tab or blanks), header (a first line without any number).
 * @throws KingletError `bad-input` for an empty file or, while reading rows, a line of another number of columns.
 */
export function readCsvTable(bytes: Uint8Array, name: string): CsvTable {
  const text = new TextDecoder().decode(bytes);
  const first = firstRow(text);
  if (first === null) return refuse(name, "the table is empty");
  const separator = separatorOf(first[1]);
  const decimalComma = separator === ";";
  const cells = split(first[1], separator);
  if (cells.length > MOST_COLUMNS) refuse(name, `the first line has ${cells.length} columns`);
  const hasHeader = !cells.some((cell) => cell !== "" && isNumeric(cell, decimalComma));
  const names = hasHeader ? cells : cells.map((_, i) => String(i + 1));
  function* rows(): Iterable<CsvRow> {
    for (const [line, content] of linesOf(text)) {
      if (hasHeader && line === first![0]) continue;
      const row = content === "" ? [] : split(content, separator);
      if (row.length === 0 || isDivider(row)) yield { line, cells: null };
      else if (row.length === names.length) yield { line, cells: row };
      else refuse(`${name}, line ${line}`, `the line has ${row.length} columns and the first one has ${names.length}`);
    }
  }
  return { names, hasHeader, divided: /^\s*-(\s*[,;\t]\s*-)+\s*$/m.test(text), decimalComma, rows };
}
