import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runWithCrashes } from "./crash-testing.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kinglet-crash-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test("a coordinator that is killed again and again counts each acknowledged update once", async () => {
  const report = await runWithCrashes({ folder, clients: 6, rounds: 6, kills: 2, deaths: 0.1, seed: 3 });
  expect(report).toMatchObject({ closed: 6, kills: 2, lost: 0, invented: 0, sameModel: true });
  expect(report.acknowledged).toBeGreaterThan(6);
});
