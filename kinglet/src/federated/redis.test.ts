import { expect, test } from "vitest";
import { connectRedis, shownAddress } from "./redis.ts";

test.each([
  ["redis://host:6379/2", "redis://host:6379/2"],
  ["redis://me:secret@host:6379", "redis://host:6379"],
  ["rediss://:se@cr:et@host/1?password=secret", "rediss://host/1"],
  ["redis://host?password=secret", "redis://host"],
  ["redis://host?password=se@cret", "redis://…"],
  ["redis://me:1/secret@host", "redis://…"],
  ["redis://me:se/cret@host", "redis://…"],
  ["redis://me:se#cret@host", "redis://…"],
  ["me:secret@host:6379", "…"],
  ["/run/a@b/redis.sock?password=secret", "/run/a@b/redis.sock"],
])("the address %s is shown as %s", (address, shown) => {
  expect(shownAddress(address)).toBe(shown);
});

test("addresses that are none, and where nobody answers, are told without a password", async () => {
  await expect(connectRedis("http://host")).rejects.toMatchObject({ code: "misuse" });
  await expect(connectRedis("redis://:secret@127.0.0.1:1")).rejects.toMatchObject({ code: "bad-input", place: "redis://127.0.0.1:1" });
});
