import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { needProgram, needTools } from "../boards/tool-gate.ts";
import { begunWith, inventedFrame, TestClient } from "../federated/coordinator/coordinator-testing.ts";
import { needServers, newPostgres, newRedis } from "../federated/coordinator/servers-testing.ts";
import type { StatusAnswer } from "../federated/index.ts";
import { readKinglet, writeKinglet } from "../formats/index.ts";
import { mlp } from "../zoo/index.ts";
import { main } from "./main.ts";
import { commandsIn, onSmallDisk, type Ran } from "./testing.ts";

let [folder, project] = ["", ""];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kinglet-federate-"));
  project = join(folder, "tiny");
  await commandsIn({ folder })("init", "tiny", "--from", "motion");
  await writeFile(
    join(project, "kinglet.config.ts"),
    `export default { network: { name: "mlp", options: { hidden: [6] } }, epochs: 3, batch: 8, optimizer: { kind: "adam" }, schedule: { kind: "constant", rate: 0.02 } };`,
  );
  const rows = Array.from({ length: 40 }, (_, r) =>
    Array.from({ length: 8 }, (_, t) => `${r},${r % 2 ? "up" : "down"},${(r % 2 ? t : -t) + (r % 7) / 7}`),
  );
  await writeFile(join(folder, "moves.csv"), `recording,label,x\n${rows.flat().join("\n")}\n`);
  const words = ["--label", "column:label", "--recording", "recording", "--columns", "x", "--window", "8", "--out", join(project, ".kinglet/data")];
  expect((await kinglet("data", "import", join(folder, "moves.csv"), ...words)).code).toBe(0);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const kinglet = (...argv: string[]): Promise<Ran> => commandsIn({ folder: project })(...argv);

interface Serving {
  readonly url: string;
  /** As Ctrl-C does; gives all that it said. */
  stop(): Promise<Ran>;
}

/** `federate serve` as typed, until it listens. */
async function serveAndJudge(...argv: string[]): Promise<Serving> {
  let [out, err] = ["", ""];
  let stop: () => void = () => {};
  let listening: (port: string) => void = () => {};
  const port = new Promise<string>((done) => (listening = done));
  const hear = (text: string): void => {
    err += text;
    const found = /listens on port (\d+)/.exec(err);
    if (found !== null) listening(found[1]!);
  };
  const onStop = (asked: () => void): (() => void) => {
    stop = asked;
    return () => {};
  };
  const io = { folder: project, out: (text: string) => void (out += text), err: hear, onStop };
  const code = main(["federate", "serve", "--port", "0", "--host", "127.0.0.1", ...argv], io);
  const first = await Promise.race([port, code]);
  if (typeof first === "number") throw new Error(err);
  return {
    url: `http://127.0.0.1:${first}`,
    stop: async () => {
      stop();
      return { code: await code, out, err };
    },
  };
}

const serve = (...argv: string[]): Promise<Serving> => serveAndJudge("--no-judge", ...argv);

test("a project is served, watched, paused, exported, and goes on where it was", async () => {
  const words = ["--rounds", "2", "--share", "1", "--ready", "2", "--log", join(folder, "log.jsonl")];
  const first = await serveAndJudge(...words);
  const token = await kinglet("federate", "token", "--uses", "2", "--days", "1");
  expect(token.err).toMatch(/enrols 2 clients until/);
  expect((await stat(join(project, ".kinglet/federation.key"))).mode & 0o777).toBe(0o600);
  const clients = [await TestClient.enrol(first.url, token.out.trim()), await TestClient.enrol(first.url, token.out.trim())];
  const round = async (length: number): Promise<void> => {
    const answers = await Promise.all(clients.map((client) => client.task(20)));
    for (const [i, answer] of answers.entries())
      if (answer !== null && "task" in answer) await clients[i]!.submit(answer.task.round, inventedFrame(answer.task, i, length));
  };
  const { length } = await clients[0]!.parameters(0);
  await round(length);
  await expect
    .poll(async () => (JSON.parse((await kinglet("federate", "status", first.url, "--json")).out) as StatusAnswer).judged?.version, {
      timeout: 60_000,
    })
    .toBe(1);
  expect((await kinglet("federate", "pause", first.url)).out).toMatch(
    /paused, version 1 of 2\n2 clients enrolled.*\nversion 1 is right in [\d.]+ %\n\nRound {2}From version.*Seconds +Right/,
  );
  const listed = await kinglet("federate", "clients", first.url);
  expect(listed.out).toMatch(/Client {2}Token {2,}Enrolled {3,}Last round {2}Answered {2}Declined\n[\s\S]*1 {2}[0-9a-f]{32} {2}\S+ +1 +1 +0/);
  const stopped = await first.stop();
  expect(stopped).toMatchObject({ code: 0 });
  expect(stopped.err).toMatch(/round 1: 2 of 2 ready clients asked\nround 1: 2 updates, [\d,]+ bytes, .*; version 1 of 2\n/);
  expect(stopped.err).toMatch(/version 0: [\d.]+ % right\n[\s\S]*version 1: [\d.]+ % right\n/);
  expect(stopped.out).toMatch(/^Version 1 of 2\. Written: .*model\.federated\.kinglet/);

  const second = await serve(...words);
  for (const client of clients) client.url = second.url;
  expect((await kinglet("federate", "resume", second.url)).out).toMatch(/learning, version 1 of 2/);
  await round(length);
  expect(await clients[0]!.task(20)).toEqual({ finished: { version: 2 } });
  expect((await kinglet("federate", "export", second.url, "--out", "out.kinglet")).code).toBe(0);
  const exported = await readFile(join(project, "out.kinglet"));
  expect((await kinglet("federate", "export", second.url, "--out", "nowhere/out.kinglet")).err).toMatch(/nowhere\/out\.kinglet: there is no such/);
  expect((await second.stop()).err).toMatch(/finished with version 2: all rounds are done; clients are told; Ctrl-C ends and writes/);
  expect(await readFile(join(project, "model.federated.kinglet"))).toEqual(exported);
  expect((await (await serve(...words)).stop()).err).toMatch(/it has finished with version 2; clients are told/);
  expect(readKinglet(exported, "out.kinglet").metadata).toMatchObject({ labels: "down\nup" });
  const events = (await readFile(join(folder, "log.jsonl"), "utf8"))
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as { event: string }).event);
  expect(events).toEqual(expect.arrayContaining(["enrolled", "round begun", "round closed", "paused", "finished"]));
  // What the store began with holds.
  await expect(serve("--strategy", "fedadam")).rejects.toThrow(/began with another strategy/);
});

test("two processes serve one project, wherever its clients come", async (context) => {
  needServers(context);
  const [postgres, redis] = await Promise.all([newPostgres(), newRedis()]);
  const words = ["--rounds", "1", "--share", "1", "--ready", "2", "--minimum", "2", "--store", postgres.url, "--queue", redis.url];
  const processes = [await serve(...words), await serve(...words)];
  const token = (await kinglet("federate", "token", "--uses", "2")).out.trim();
  const clients = [await TestClient.enrol(processes[0]!.url, token), await TestClient.enrol(processes[1]!.url, token)];
  const { length } = await clients[0]!.parameters(0);
  const answers = await Promise.all(clients.map((client) => client.task(20)));
  for (const [i, answer] of answers.entries()) {
    // The other process takes it.
    clients[i]!.url = processes[1 - i]!.url;
    if (answer !== null && "task" in answer) await clients[i]!.submit(1, inventedFrame(answer.task, i, length));
  }
  expect(await clients[0]!.task(20)).toEqual({ finished: { version: 1 } });
  await expect(serve(...words, "--seed", "99")).rejects.toThrow(/began with another .*seed/);
  const stopped = await Promise.all(processes.map((each) => each.stop()));
  for (const { out } of stopped) expect(out).toMatch(/^Version 1 of 1\. Written/);
  // Whichever looked has said so.
  expect(stopped.map(({ err }) => err).join("")).toMatch(/round 1: 2 of 2 ready clients asked\n[\s\S]*round 1: 2 updates, /);
  await Promise.all([postgres.end(), redis.end()]);
});

test("secure aggregation as typed is what the project signs", async () => {
  const words = ["--secure", "--threshold", "0.6", "--most-samples", "50", "--store", join(folder, "secure.db")];
  const federation = await serve(...words);
  const client = await TestClient.enrol(federation.url, (await kinglet("federate", "token")).out.trim());
  const { description } = (await (await client.request("/v1/project")).json()) as { description: string };
  const signed = JSON.parse(Buffer.from(description.split(".")[0]!, "base64url").toString()) as object;
  expect(signed).toMatchObject({ secure: { threshold: 0.6, minimum: 3, clip: 8, mostSamples: 50 } });
  await federation.stop();
  await expect(serve(...words, "--compress", "8bit")).rejects.toThrow(/masked numbers cannot be compressed/);
  await expect(serve("--threshold", "0.6")).rejects.toThrow(/--threshold needs --secure/);
});

test("a token is revoked, and a client expelled", async () => {
  const federation = await serve("--store", join(folder, "members.db"));
  const made = JSON.parse((await kinglet("federate", "token", "--json")).out) as { token: string; id: string };
  const client = await TestClient.enrol(federation.url, made.token);
  expect((await kinglet("federate", "revoke", federation.url, made.token)).out).toMatch(
    new RegExp(`^Token ${made.id} enrols nobody any more. 1 client came with it`),
  );
  await expect(TestClient.enrol(federation.url, made.token)).rejects.toMatchObject({ reason: "revoked" });
  expect((await kinglet("federate", "revoke", federation.url, "all")).err).toMatch(/the token's id is not as it must be/);
  expect((await kinglet("federate", "expel", federation.url, "1")).out).toMatch(new RegExp(`^Client 1 is expelled.*federate revoke .* ${made.id}`));
  await expect(client.task(0)).rejects.toMatchObject({ reason: "expelled" });
  expect((await kinglet("federate", "expel", federation.url, "7")).err).toMatch(/no client 7 has enrolled here/);
  const listed = JSON.parse((await kinglet("federate", "clients", federation.url, "--json")).out);
  expect(listed.clients).toMatchObject([{ client: 1, token: made.id, answered: 0 }]);
  await federation.stop();
});

test("commands that want a project's first key at once find the same one, and a full disk leaves none", async (context) => {
  const token = async (at: string): Promise<Ran> => await kinglet("federate", "token", at, "--json");
  expect((await token(join(folder, "new"))).err).toMatch(/there is no project here/);
  const config = "export default {};";
  await mkdir(join(folder, "new"));
  await writeFile(join(folder, "new/kinglet.config.ts"), config);
  const all = await Promise.all(Array.from({ length: 8 }, () => token(join(folder, "new"))));
  expect(new Set(all.map(({ out }) => (JSON.parse(out) as { key: string }).key)).size).toBe(1);
  expect(await readdir(join(folder, "new/.kinglet"))).toEqual(["federation.key"]);
  const disk = join(folder, "disk");
  await onSmallDisk(context, disk, 64, async () => {
    await mkdir(join(disk, ".kinglet"));
    await writeFile(join(disk, "kinglet.config.ts"), config);
    await writeFile(join(disk, "other"), new Uint8Array(2 ** 16)).catch(() => {});
    expect((await token(disk)).err).toMatch(/the disk is full/);
    await rm(join(disk, "other"));
    expect((await token(disk)).code).toBe(0);
    expect(await readdir(join(disk, ".kinglet"))).toEqual(["federation.key"]);
  });
});

test("wrong words and addresses are told", async () => {
  expect((await kinglet("federate", "serve", "--queue", "redis://127.0.0.1")).err).toMatch(/a file is for one process[\s\S]*--store postgres:/);
  // Nothing of a project is looked at before.
  expect((await commandsIn({ folder })("federate", "serve", "--queue", "redis://127.0.0.1")).err).toMatch(/a file is for one process/);
  expect((await kinglet("federate", "serve", "--store", "postgres://127.0.0.1/x")).err).toMatch(/need a Redis to work together[\s\S]*--queue/);
  expect((await kinglet("federate", "serve", "--clip", "1")).err).toMatch(/privacy needs both --clip and --noise/);
  expect((await kinglet("federate", "serve", "--spare", "0.5")).code).toBe(2);
  for (const rule of ["mode", "mean:1", "clipped", "clipped:0", "trimmed:0.5", "krum:1.5", "krum:1:0", "krum:1:2:3", "bulyan:", "median:1"])
    expect([rule, (await kinglet("federate", "serve", "--combine", rule)).err]).toEqual([rule, expect.stringMatching(/Give mean, clipped:LENGTH/)]);
  expect((await kinglet("federate", "serve", "--combine", "krum:2", "--minimum", "6", "--store", join(folder, "krum.db"))).err).toMatch(
    /Krum that withstands 2 bad updates needs 7 of them, and there are 6/,
  );
  expect((await kinglet("federate", "serve", "--most-samples", "0")).code).toBe(2);
  expect((await kinglet("federate", "status", "http://127.0.0.1:1")).err).toMatch(/no coordinator answers there/);
  for (const words of [["status"], ["export"], ["join", "--data", project]])
    expect(await kinglet("federate", ...words, "localhost:8080")).toMatchObject({ code: 2, err: expect.stringMatching(/no coordinator's address/) });
  expect((await commandsIn({ folder })("federate", "status", "http://127.0.0.1:1")).err).toMatch(/has no key yet/);
});

test.each([
  ["mean", { kind: "mean" }],
  ["clipped:0.5", { kind: "clippedMean", most: 0.5 }],
  ["median", { kind: "median" }],
  ["trimmed:0.25", { kind: "trimmedMean", cut: 0.25 }],
  ["krum:1", { kind: "krum", bad: 1, keep: 1 }],
  ["krum:1:3", { kind: "krum", bad: 1, keep: 3 }],
  ["bulyan:1", { kind: "bulyan", bad: 1 }],
] as const)("a federation begins with the rule %s", async (words, rule) => {
  const store = join(folder, `${words}.db`);
  await (await serve("--combine", words, "--minimum", "7", "--strategy", "fedadam", "--store", store)).stop();
  expect((await begunWith(store))["strategy"]).toMatchObject({ combination: rule, server: { kind: "adam" } });
});

/** Workers load what they train with; on a busy machine that takes a while for each. */
const WORKERS_MS = 300_000;

test(
  "two clients join as typed, stay who they are, and say what they do",
  async () => {
    const federation = await serve("--rounds", "2", "--share", "1", "--ready", "2", "--minimum", "2", "--store", join(folder, "joined.db"));
    const token = (await kinglet("federate", "token", "--uses", "2")).out.trim();
    const joins = (name: string, ...words: string[]): Promise<Ran> =>
      kinglet("federate", "join", federation.url, "--data", project, "--identity", join(folder, name), "--json", ...words);
    const [first, second] = await Promise.all([joins("one.json", "--token", token, "--memory", "1m"), joins("two.json", "--token", token, "--poll")]);
    expect(JSON.parse(first.out)).toMatchObject({ rounds: 2, version: 2 });
    expect(JSON.parse(second.out)).toMatchObject({ rounds: 2, version: 2 });
    expect(first.err).toMatch(
      /enrolled as client \d\n40 samples; a training step needs .* bytes\nwaiting for a task\nround 1: training version 0\nround 1: sent/,
    );
    expect((await stat(join(folder, "one.json"))).mode & 0o777).toBe(0o600);
    expect((await joins("new.json")).err).toMatch(/needs an enrolment token/);
    expect((await joins("new.json", "--token", token.slice(0, -1))).err).toMatch(/the enrolment token is refused: .*\s+Copy all of/);
    // It is still enrolled.
    expect((await joins("one.json", "--memory", "100")).err).toMatch(/a training step needs \d+ bytes, and 100 are allowed/);
    expect((await joins("one.json", "--only", "often")).code).toBe(2);
    expect((await kinglet("federate", "join", federation.url)).err).toMatch(/say --data .*, or --serial/);
    expect((await kinglet("federate", "join", federation.url, "--serial", join(folder, "joined.db"))).err).toMatch(/serial port cannot be used/);
    await federation.stop();
  },
  WORKERS_MS,
);

test("a device's firmware is written whole, and make builds it for its processor without a warning", async (context) => {
  const model = join(folder, "small.kinglet");
  await writeFile(model, writeKinglet(mlp({ inputs: 4, hidden: [5], classes: 2 })));
  const made = JSON.parse((await kinglet("federate", "firmware", model, "--board", "nano-33-ble", "--out", join(folder, "fw"), "--json")).out);
  expect(made).toMatchObject({ id: "small", parameters: 37 });
  const sources = ["small.c", "small_client.c", "small_client.h", "kinglet_link.c", "kinglet_link.h"].map((name) => `src/${name}`);
  expect(made.files).toEqual(expect.arrayContaining([...sources, "Makefile"]));
  needTools(context, "arm-none-eabi-gcc");
  const make = needProgram(context, "make");
  const strict = "CFLAGS=-O2 -Wall -Wextra -Wconversion -pedantic -Werror";
  expect(spawnSync(make, ["-C", join(folder, "fw"), strict])).toMatchObject({ status: 0, stderr: Buffer.of() });
  expect(await readdir(join(folder, "fw"))).toContain("libsmall.a");
});
