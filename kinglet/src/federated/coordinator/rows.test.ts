import { expect, test } from "vitest";
import { BYTES, checkedRows, NUMBER, oneOf, orNull, type SqlValue, TEXT } from "./rows.ts";

const COLUMNS = { count: NUMBER, name: TEXT, body: orNull(BYTES), step: oneOf(["keys", "shares"]) };
const GOOD = { count: 3, name: "a", body: null, step: "keys" };

test("rows of the columns that were asked for are given as they are", () => {
  const rows = [GOOD, { ...GOOD, body: Uint8Array.of(1) }];
  expect(checkedRows(COLUMNS, rows)).toBe(rows);
  expect(checkedRows(COLUMNS, [])).toEqual([]);
});

test.each<[string, Record<string, SqlValue | undefined>]>([
  ["count", { count: "3" }],
  ["count", { count: undefined }],
  ["name", { name: null }],
  ["body", { body: "text" }],
  ["step", { step: "revelation" }],
])("a %s that is %o is refused by name", (name, wrong) => {
  const row = { ...GOOD, ...wrong } as Record<string, SqlValue>;
  expect(() => checkedRows(COLUMNS, [GOOD, row])).toThrow(`holds a ${name} that Kinglet did not write`);
});
