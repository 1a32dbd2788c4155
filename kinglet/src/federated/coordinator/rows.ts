import { KingletError } from "../../base/index.ts";

/** What a column holds. Whole numbers are exact up to 2^53. */
export type SqlValue = number | string | Uint8Array | null;

/** Whether a value is one that a column may hold. */
type Column<T extends SqlValue> = (value: SqlValue | undefined) => value is T;

export const NUMBER: Column<number> = (value) => typeof value === "number";
export const TEXT: Column<string> = (value) => typeof value === "string";
export const BYTES: Column<Uint8Array> = (value) => value instanceof Uint8Array;

export function oneOf<const T extends string>(words: readonly T[]): Column<T> {
  return (value): value is T => words.includes(value as T);
}

export function orNull<T extends SqlValue>(column: Column<T>): Column<T | null> {
  return (value): value is T | null => value === null || column(value);
}

/** The columns of a question's answer, by name. */
export type Columns = Readonly<Record<string, Column<SqlValue>>>;

/** A row of such columns. */
export type Row<C extends Columns> = { readonly [Name in keyof C]: C[Name] extends Column<infer T> ? T : never };

/** A row as a driver gives it. */
export type Found = Readonly<Record<string, SqlValue>>;

/** The column that holds something else. */
function misfit(columns: Columns, row: Found): string | undefined {
  for (const name in columns) if (!columns[name]!(row[name])) return name;
  return undefined;
}

/**
 * Rows, once they are known to be what was asked for: no copies, a look at each value.
 * @throws KingletError `bad-file` where one is not.
 */
export function checkedRows<C extends Columns>(columns: C, rows: readonly Found[]): Row<C>[] {
  for (const row of rows) {
    const name = misfit(columns, row);
    if (name === undefined) continue;
    throw new KingletError("bad-file", `the federation's store holds a ${name} that Kinglet did not write`, {
      hint: "Was it changed by something else, or written by a newer version?",
    });
  }
  return rows as Row<C>[];
}
