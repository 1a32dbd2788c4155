import { mkdir, rename, rm, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import type { Database as SqliteFile } from "node-sqlite3-wasm";
import { KingletError } from "../../base/index.ts";
import type { Database, Queries } from "./database.ts";
import { own } from "./ownership.ts";
import { checkedRows, type Columns, type Found, type Row, type SqlValue } from "./rows.ts";

/** Loaded when the first file is opened: it is a megabyte of WebAssembly. */
function library(): typeof import("node-sqlite3-wasm") {
  return createRequire(import.meta.url)("node-sqlite3-wasm") as typeof import("node-sqlite3-wasm");
}

/**
 * Opens a file for this process alone, with a write-ahead log that is synced at each commit. It has to be a log: this build of SQLite takes the
 * lock of its own process for that of another one and would not play back the rollback journal that a killed process left.
 */
function openFile(path: string): SqliteFile {
  const file = new (library().Database)(path);
  try {
    file.exec("PRAGMA locking_mode = EXCLUSIVE");
    file.exec("PRAGMA journal_mode = WAL");
    file.exec("PRAGMA synchronous = FULL");
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

/** A new file takes its place once it has its log: until then it would have a rollback journal. */
async function create(path: string): Promise<void> {
  const [beside, lock] = [`${path}.new`, `${path}.new.lock`];
  for (const left of [beside, lock, `${beside}-wal`, `${beside}-journal`]) await rm(left, { recursive: true, force: true });
  const file = openFile(beside);
  file.exec("CREATE TABLE begun (at INTEGER)");
  file.close();
  await rename(beside, path);
}

/** The one connection: statements run at once, transactions one after the other. */
class SqliteDatabase implements Database {
  readonly bytesType = "BLOB";
  readonly beforeTables = [];
  private readonly file: SqliteFile;
  private readonly release: () => Promise<void>;
  private last: Promise<unknown> = Promise.resolve();
  private readonly direct: Queries = {
    all: async (columns, sql, values = []) => checkedRows(columns, this.asked(() => this.file.all(sql, [...values])) as Found[]),
    run: async (sql, values = []) => this.asked(() => this.file.run(sql, [...values])).changes,
  };
  private readonly path: string;

  constructor(file: SqliteFile, path: string, release: () => Promise<void>) {
    this.file = file;
    this.path = path;
    this.release = release;
  }

  /** With the file's name where the disk fails: SQLite says no more than that. */
  private asked<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      if (!/disk/.test((error as Error).message)) throw error;
      throw new Error(`${this.path} cannot be written or read (${(error as Error).message}); is its disk full?`, { cause: error });
    }
  }

  private queued<T>(work: () => Promise<T>): Promise<T> {
    const done = this.last.then(work);
    this.last = done.catch(() => {});
    return done;
  }

  all<C extends Columns>(columns: C, sql: string, values?: readonly SqlValue[]): Promise<Row<C>[]> {
    return this.queued(() => this.direct.all(columns, sql, values));
  }

  run(sql: string, values?: readonly SqlValue[]): Promise<number> {
    return this.queued(() => this.direct.run(sql, values));
  }

  transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    return this.queued(async () => {
      this.asked(() => this.file.exec("BEGIN IMMEDIATE"));
      try {
        const result = await work(this.direct);
        this.asked(() => this.file.exec("COMMIT"));
        return result;
      } catch (error) {
        if (this.file.inTransaction) this.file.exec("ROLLBACK");
        throw error;
      }
    });
  }

  close(): Promise<void> {
    return this.queued(async () => {
      if (!this.file.isOpen) return;
      this.file.close();
      await this.release();
    });
  }
}

/**
 * A federation's state in a file; its folder is made.
 * @throws KingletError `misuse` where another process has it open, `bad-file` where it is no SQLite file.
 */
export async function openSqlite(path: string): Promise<Database> {
  await mkdir(dirname(path), { recursive: true });
  const { release } = await own(path);
  try {
    // Nobody else is there, so what a killed process locked is free.
    await rm(`${path}.lock`, { recursive: true, force: true });
    if ((await stat(path).catch(() => null)) === null) await create(path);
    return new SqliteDatabase(openFile(path), path, release);
  } catch (error) {
    await release();
    if ((error as NodeJS.ErrnoException).syscall !== undefined) throw error;
    throw new KingletError("bad-file", `the file cannot be opened: ${(error as Error).message}`, { place: path });
  }
}
