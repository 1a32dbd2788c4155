import type { Columns, Row, SqlValue } from "./rows.ts";

/** Statements in the SQL that SQLite and PostgreSQL share; `?` stands for the values in their order. */
export interface Queries {
  /** @param columns of the answer. @throws KingletError `bad-file` where one holds something else. */
  all<C extends Columns>(columns: C, sql: string, values?: readonly SqlValue[]): Promise<Row<C>[]>;
  /** Gives how many rows it changed. */
  run(sql: string, values?: readonly SqlValue[]): Promise<number>;
}

/** Where a federation keeps its state. What a transaction has given back is on the disk. */
export interface Database extends Queries {
  /** The type of a column of bytes, which has no common name. */
  readonly bytesType: string;
  /** What is said before tables are made, so that two processes do not make them at once. */
  readonly beforeTables: readonly string[];
  /** All of it or, where `work` throws, nothing. Transactions that change the same row run one after the other. */
  transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}
