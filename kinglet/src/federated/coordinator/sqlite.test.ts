import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { onSmallDisk } from "../../cli/testing.ts";
import { BYTES, NUMBER } from "./rows.ts";
import { openSqlite } from "./sqlite.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kinglet-sqlite-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test("a transaction happens whole or not at all, and what is asked meanwhile waits", async () => {
  const database = await openSqlite(join(folder, "whole.db"));
  await database.run("CREATE TABLE t (a INTEGER, b BLOB)");
  const failing = database.transaction(async (queries) => {
    await queries.run("INSERT INTO t VALUES (1, NULL)");
    throw new Error("no");
  });
  const columns = { a: NUMBER, b: BYTES };
  const seen = database.all(columns, "SELECT * FROM t");
  await expect(failing).rejects.toThrow("no");
  expect(await seen).toEqual([]);
  expect(await database.run("INSERT INTO t VALUES (?, ?)", [2 ** 40, Uint8Array.of(1, 0, 255)])).toBe(1);
  await database.close();
  const again = await openSqlite(join(folder, "whole.db"));
  expect(await again.all(columns, "SELECT * FROM t")).toEqual([{ a: 2 ** 40, b: Uint8Array.of(1, 0, 255) }]);
  await again.close();
});

/** Runs in a process of its own: opens the file, leaves a transaction half done, says so, and stays. */
const HOLDER = `
const { openSqlite } = await import(${JSON.stringify(new URL("./sqlite.ts", import.meta.url).href)});
const database = await openSqlite(process.argv[1]);
await database.run("CREATE TABLE t (a INTEGER, b BLOB)");
await database.transaction(async (q) => { for (let i = 0; i < 500; i++) await q.run("INSERT INTO t VALUES (0, ?)", [new Uint8Array(8000)]); });
await database.transaction(async (q) => { await q.run("UPDATE t SET a = 1"); process.stdout.write("held"); setInterval(() => {}, 1000); await new Promise(() => {}); });
`;

test("a file has one owner, and a killed one leaves it whole and free", async () => {
  const path = join(folder, "owned.db");
  const cwd = fileURLToPath(new URL(".", import.meta.url));
  const holder = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", HOLDER, path], {
    cwd,
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(holder.stdout, "data");
  await expect(openSqlite(path)).rejects.toThrow(/is a coordinator on this file already/);
  holder.kill("SIGKILL");
  await once(holder, "exit");
  const database = await openSqlite(path);
  expect(await database.all({ a: NUMBER, n: NUMBER }, "SELECT a, COUNT(*) AS n FROM t GROUP BY a")).toEqual([{ a: 0, n: 500 }]);
  await expect(openSqlite(path)).rejects.toThrow(/already/);
  await database.close();
  await (await openSqlite(path)).close();
});

test("who claims at the same time gets it or is refused", async () => {
  const path = join(folder, "rush.db");
  const rush = await Promise.allSettled(Array.from({ length: 8 }, () => openSqlite(path)));
  const opened = rush.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  expect(opened).toHaveLength(1);
  for (const database of opened) await database.close();
  // A dead process of this machine, one that was cut short while it wrote, and what it left locked.
  const [dead] = (await readFile(`${path}.owner`, "utf8")).split("\n").filter((line) => line.startsWith("{"));
  await writeFile(`${path}.owner`, `${dead!.replace(/"pid":\d+/, '"pid":999999999')}\n{"id":"cut sh`);
  await mkdir(`${path}.lock`, { recursive: true });
  await (await openSqlite(path)).close();
  await writeFile(`${path}.owner`, dead!.replace(/"host":"[^"]*"/, '"host":"elsewhere"'));
  await expect(openSqlite(path)).rejects.toThrow(/on elsewhere/);
});

test("a full disk is told with the file's name, and the file goes on once there is room", async (context) => {
  const disk = join(folder, "disk");
  await onSmallDisk(context, disk, 512, async () => {
    const path = join(disk, "small.db");
    const database = await openSqlite(path);
    await database.run("CREATE TABLE t (a INTEGER, b BLOB)");
    await writeFile(join(disk, "other"), new Uint8Array(2 ** 19)).catch(() => {});
    const insert = (bytes: number): Promise<number> => database.run("INSERT INTO t VALUES (1, ?)", [new Uint8Array(bytes)]);
    await expect(insert(2 ** 17)).rejects.toThrow(`${path} cannot be written or read`);
    await rm(join(disk, "other"));
    expect(await insert(2 ** 17)).toBe(1);
    await database.close();
  });
});

test("what is no database is refused by name", async () => {
  const path = join(folder, "text.db");
  await writeFile(path, "this is a text and no database at all\n".repeat(100));
  await expect(openSqlite(path)).rejects.toThrow(/cannot be opened/);
});
