import { type CsvTable, numberIn, readCsvTable } from "./csv-table.ts";
import type { Recording } from "./recording.ts";
import { refuse } from "./refuse.ts";

/** Which columns of a table mean what; a column is named by its header, or by its number from 1. */
export interface CsvOptions {
  readonly label?: string;
  readonly group?: string;
  /** A new value in this column begins a new recording. */
  readonly recording?: string;
  /** The columns with the values, in order; all that have no other role when absent. */
  readonly columns?: readonly string[];
  /** Rows are instants of a recording even if nothing in the table says so. */
  readonly steps?: boolean;
}

/** Columns that are never values unless asked for by name. */
const USUAL_LABELS = ["label", "class"];
const USUAL_RECORDING = "recording";
const NOT_VALUES = [...USUAL_LABELS, USUAL_RECORDING, "timestamp"];

interface Columns {
  readonly label: number | null;
  readonly group: number | null;
  readonly recording: number | null;
  readonly values: readonly number[];
}

function find(table: CsvTable, wanted: string, name: string): number {
  const at = table.names.indexOf(wanted);
  if (at >= 0) return at;
  const number = /^\d+$/.test(wanted) ? Number(wanted) - 1 : -1;
  if (number >= 0 && number < table.names.length) return number;
  const some = table.names.slice(0, 12).join(", ");
  return refuse(name, `the table has no column "${wanted}"`, `Its columns are ${some}${table.names.length > 12 ? ", …" : ""}.`);
}

function usual(table: CsvTable, names: readonly string[]): number | null {
  const at = table.names.findIndex((each) => names.includes(each.toLowerCase()));
  return at < 0 ? null : at;
}

function chooseColumns(table: CsvTable, options: CsvOptions, name: string): Columns {
  const role = (wanted: string | undefined, names: readonly string[]): number | null =>
    wanted === undefined ? usual(table, names) : find(table, wanted, name);
  const [label, group] = [role(options.label, USUAL_LABELS), role(options.group, [])];
  const recording = role(options.recording, [USUAL_RECORDING]);
  const free = table.names
    .map((_, i) => i)
    .filter((i) => ![label, group, recording].includes(i) && !NOT_VALUES.includes(table.names[i]!.toLowerCase()));
  const values = options.columns?.map((each) => find(table, each, name)) ?? free;
  if (values.length === 0) refuse(name, "no column is left for values");
  return { label, group, recording, values };
}

function notANumber(table: CsvTable, cell: string, line: number, column: number, name: string): never {
  const what = cell === "" ? "the cell is empty" : `"${cell.slice(0, 40)}" is not a finite number`;
  return refuse(
    `${name}, line ${line}, column ${table.names[column]}`,
    what,
    "Name the columns with values by --columns, or give this one a role: --label column:NAME, --group column:NAME.",
  );
}

/** Collects the rows of one recording. */
class Rows {
  readonly values: number[] = [];
  cells: readonly string[] = [];
  count = 0;
}

function finish(rows: Rows, columns: Columns, table: CsvTable, steps: boolean): Recording {
  const text = (column: number | null): string | undefined => (column === null ? undefined : rows.cells[column]);
  const [label, group] = [text(columns.label), text(columns.group)];
  const width = columns.values.length;
  return {
    data: Float32Array.from(rows.values),
    dtype: "float32",
    shape: steps ? [rows.count, width] : [width, 1],
    fullScale: 1,
    ...(label === undefined || label === "" ? {} : { label }),
    ...(group === undefined || group === "" ? {} : { group }),
    ...(steps && table.hasHeader ? { channels: columns.values.map((i) => table.names[i]!) } : {}),
  };
}

/**
 * The recordings of a table. Rows are instants of a recording where a column or lines of dashes divide recordings, where
 * `steps` says so, or where no column holds a label; a recording then ends where its label, group or recording changes.
 * Otherwise every row is a sample `[columns, 1]`.
 * @throws KingletError `bad-input` that names line and column of a cell that is no finite number.
 */
export function* readCsv(bytes: Uint8Array, name: string, options: CsvOptions = {}): Iterable<Recording> {
  const table = readCsvTable(bytes, name);
  const columns = chooseColumns(table, options, name);
  const steps = options.steps === true || table.divided || columns.recording !== null || columns.label === null;
  const keyOf = (cells: readonly string[]): string =>
    JSON.stringify([columns.label, columns.group, columns.recording].map((i) => (i === null ? "" : cells[i])));
  let [rows, key, any] = [new Rows(), "", false];
  for (const { line, cells } of table.rows()) {
    const next = cells === null ? "" : keyOf(cells);
    if (rows.count > 0 && (!steps || cells === null || next !== key)) {
      yield finish(rows, columns, table, steps);
      rows = new Rows();
    }
    if (cells === null) continue;
    [key, any] = [next, true];
    rows.cells = cells;
    rows.count++;
    for (const column of columns.values) {
      const value = numberIn(cells[column]!, table.decimalComma);
      if (!Number.isFinite(Math.fround(value))) notANumber(table, cells[column]!, line, column, name);
      rows.values.push(value);
    }
  }
  if (rows.count > 0) yield finish(rows, columns, table, steps);
  if (!any) refuse(name, "the table has a header and no rows");
}
