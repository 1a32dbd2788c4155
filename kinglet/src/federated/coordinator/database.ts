/** What a column holds. Whole numbers are exact up to 2^53. */
export type SqlValue = number | string | Uint8Array | null;
export type Row = Readonly<Record<string, SqlValue>>;

/** Statements in the SQL that SQLite and PostgreSQL share; `?` stands for the values in their order. */
export interface Queries {
  all(sql: string, values?: readonly SqlValue[]): Promise<Row[]>;
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
