import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runWithCrashes } from "./crash-testing.ts";
import { needServers, newPostgres, newRedis } from "./servers-testing.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kinglet-crash-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test("a coordinator that is killed again and again counts each acknowledged update once", async () => {
  const report = await runWithCrashes({ store: join(folder, "crashes.db"), processes: 1, clients: 6, rounds: 6, kills: 2, deaths: 0.1, seed: 3 });
  expect(report).toMatchObject({ closed: 6, kills: 2, lost: 0, invented: 0, sameModel: true });
  expect(report.acknowledged).toBeGreaterThan(6);
}, 600_000);

test("one of three processes is killed again and again, and Redis and PostgreSQL once: the same", async (context) => {
  needServers(context);
  const [postgres, redis] = await Promise.all([newPostgres(), newRedis()]);
  const troubles = [redis, postgres].map((server) => async (): Promise<void> => {
    await server.kill();
    await server.start();
  });
  const place = { store: postgres.url, queue: redis.url, processes: 3 };
  const report = await runWithCrashes({ ...place, clients: 9, rounds: 8, kills: 3, troubles, deaths: 0.1, seed: 3 });
  expect(report).toMatchObject({ closed: 8, kills: 3, lost: 0, invented: 0, sameModel: true });
  expect(report.acknowledged).toBeGreaterThan(8);
  await Promise.all([postgres.end(), redis.end()]);
}, 600_000);
