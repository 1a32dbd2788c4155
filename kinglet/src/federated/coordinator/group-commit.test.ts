import { expect, test } from "vitest";
import { Refusal } from "../protocol/index.ts";
import type { Database, Queries } from "./database.ts";
import { GroupCommit } from "./group-commit.ts";

/** A database whose transactions take a while; says how many there were, and how many at once. */
function slowDatabase(fail: (transaction: number) => boolean = () => false) {
  const told = { transactions: 0, most: 0 };
  let open = 0;
  const queries: Queries = { all: async () => [], run: async () => 1 };
  const transaction: Database["transaction"] = async (work) => {
    told.most = Math.max(told.most, ++open);
    const number = ++told.transactions;
    try {
      const result = await work(queries);
      await new Promise((done) => setTimeout(done, 5));
      if (fail(number)) throw new Error("the disk is full");
      return result;
    } finally {
      open--;
    }
  };
  const database: Database = { ...queries, bytesType: "BLOB", beforeTables: [], transaction, close: async () => {} };
  return { groups: new GroupCommit(database), told };
}

test("whoever asks while a commit goes on is in the next one, and one goes on at a time", async () => {
  const { groups, told } = slowDatabase();
  const first = groups.add(async () => 0);
  // The first commit has begun by then.
  await new Promise((done) => setImmediate(() => setImmediate(done)));
  const rest = Array.from({ length: 100 }, (_, i) => groups.add(async () => i + 1));
  expect(await Promise.all([first, ...rest])).toEqual(Array.from({ length: 101 }, (_, i) => i));
  expect(told).toEqual({ transactions: 2, most: 1 });
  expect(await groups.add(async () => "later")).toBe("later");
});

test("a refusal is its own client's, a commit that fails is its whole group's, and the next one goes on", async () => {
  const { groups } = slowDatabase((transaction) => transaction === 2);
  const refused = groups.add(async () => new Refusal("late", "the round is over"));
  const [taken] = await Promise.all([groups.add(async () => "taken"), expect(refused).rejects.toMatchObject({ reason: "late" })]);
  expect(taken).toBe("taken");
  const group = await Promise.allSettled([groups.add(async () => 1), groups.add(async () => 2)]);
  for (const each of group) expect(each).toMatchObject({ status: "rejected", reason: { message: "the disk is full" } });
  expect(await groups.add(async () => 3)).toBe(3);
});
