import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join as joinPath } from "node:path";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { type Browser, chromium } from "playwright-core";
import { build } from "vite";
import { expect, test } from "vitest";
import { coreById, startOnCore } from "../src/boards/index.ts";
import { coreTools, needBrowser, needTools } from "../src/boards/tool-gate.ts";
import { datasetFromArrays, type SamplesInMemory } from "../src/data/index.ts";
import {
  afterMean,
  type ClientUpdate,
  clientFirmware,
  Coordinator,
  DEFAULT_RULES,
  DEFAULT_SECURE_RULES,
  emulatedMain,
  type FederationPlan,
  join,
  joinForDevice,
  LocalTrainer,
  newProjectKeys,
  oneByOne,
  openSqlite,
  type Participation,
  projectOf,
  Round,
  beginningState,
  samplesSource,
  sentUpdate,
  type SecureRules,
  serveFederation,
  sign,
  STRATEGIES,
  weightedMeanOfSum,
  weightedNumbers,
} from "../src/federated/index.ts";
import { mlp } from "../src/zoo/index.ts";
import { CLASSES, type FederationMember, INPUTS, membersSamples } from "./federation-data.ts";

const PAGE = fileURLToPath(new URL("./federation-page.ts", import.meta.url));
const ROUNDS = 2;
const [PAGES, NODES] = [3, 2];
/** The last one is the microcontroller. */
const MEMBERS: readonly FederationMember[] = [9, 20, 13, 16, 7, 12].map((count, index) => ({ index, count }));
const DEVICE = PAGES + NODES;

const PLAN: FederationPlan = {
  name: "points",
  network: mlp({ inputs: INPUTS, hidden: [8], classes: CLASSES.length }),
  classes: CLASSES,
  strategy: STRATEGIES.fedavg,
  local: { optimizer: { kind: "sgd", momentum: 0 }, epochs: 2, batchSize: 4, rate: 0.2 },
  augmentation: {},
  compression: { kind: "quantize", bits: 8 },
  seed: 5,
};

/** The page's script and its worker's, by their paths. */
async function bundled(): Promise<Map<string, string>> {
  const made = await build({
    configFile: false,
    logLevel: "error",
    base: "./",
    worker: { format: "es" },
    build: { write: false, minify: false, target: "es2022", lib: { entry: PAGE, formats: ["es"], fileName: "page" } },
  });
  const [first] = Array.isArray(made) ? made : [made];
  if (first === undefined || !("output" in first)) throw new Error("vite wrote nothing");
  return new Map(first.output.map((file) => [`/${file.fileName}`, file.type === "chunk" ? file.code : String(file.source)]));
}

async function serve(files: ReadonlyMap<string, string>): Promise<Server> {
  const server = createServer((request, response) => {
    const script = files.get(request.url ?? "");
    response.writeHead(200, { "content-type": script === undefined ? "text/html" : "text/javascript" });
    response.end(script ?? "<!doctype html><title>page</title>");
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return server;
}

const addressOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

/** What an export of the page's script gives there. */
async function inPage(browser: Browser, site: string, name: string, ...values: readonly unknown[]): Promise<unknown> {
  const tab = await browser.newPage();
  await tab.goto(site);
  // As text: the test runner would rewrite the import of a function.
  return await tab.evaluate(`import("/page.js").then(({ ${name} }) => ${name}(${values.map((value) => JSON.stringify(value)).join(", ")}))`);
}

async function deviceJoins(url: string, token: string, member: FederationMember): Promise<Participation> {
  const { id, sources } = clientFirmware(PLAN.network, { id: "points", board: "nucleo-l4r5zi" });
  const { data, labels } = membersSamples(member);
  const samples = { "samples.c": samplesSource(id, { features: data as Float32Array, labels }), "main.c": emulatedMain(id) };
  const line = await startOnCore({ core: "cortex-m4", sources: { ...sources, ...samples } });
  return await joinForDevice(url, line, { token });
}

const nodeJoins = (url: string, token: string, data: SamplesInMemory, transport: "auto" | "poll"): Promise<Participation> =>
  join(url, { token, data, transport });

/** A federation of these members, all at once, until it has finished; gives the newest parameters and who was which client. */
async function federated(plan: FederationPlan, members: readonly FederationMember[], browser: Browser, site: string) {
  const folder = await mkdtemp(joinPath(tmpdir(), "kinglet-federation-"));
  const keys = newProjectKeys();
  const project = projectOf(keys.publicKey);
  const token = sign("enrolment", { project, id: "0b".repeat(16), uses: members.length, expires: Date.now() + 3_600_000 }, keys.secretKey);
  const many = { ready: members.length, minimum: members.length };
  const rules = { ...DEFAULT_RULES, ...many, rounds: ROUNDS, share: 1, spare: 1, seconds: 500, stepSeconds: 500 };
  const coordinator = await Coordinator.open(await openSqlite(joinPath(folder, "federation.db")), { plan, rules, keys });
  const federation = await serveFederation(coordinator, { host: "127.0.0.1" });
  try {
    const url = `http://127.0.0.1:${federation.port}`;
    const took = await Promise.all(
      members.map((member) => {
        if (member.index < PAGES) return inPage(browser, site, "joinHere", url, token, member) as Promise<Participation>;
        if (member.index === DEVICE) return deviceJoins(url, token, member);
        return nodeJoins(url, token, membersSamples(member), member.index === PAGES ? "auto" : "poll");
      }),
    );
    for (const each of took) expect(each).toMatchObject({ rounds: ROUNDS, version: ROUNDS });
    const { body } = await coordinator.version(ROUNDS);
    return { parameters: new Float32Array(body.slice().buffer), memberOf: new Map(took.map(({ client }, i) => [client, members[i]!])) };
  } finally {
    await federation.stop();
    await coordinator.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** What each member learns of these parameters in a round. */
async function* learned(memberOf: ReadonlyMap<number, FederationMember>, round: number, parameters: Float32Array): AsyncIterable<ClientUpdate> {
  for (const [client, member] of [...memberOf].sort(([a], [b]) => a - b)) {
    const trainer = trainers.get(member.index === DEVICE ? 1 : PLAN.local.batchSize)!;
    const positions = Int32Array.from({ length: member.count }, (_, i) => i);
    yield await trainer.train(datasetFromArrays(membersSamples(member)), positions, client, { parameters, ...placeOf(client, round) });
  }
}

const trainers = new Map([PLAN.local, oneByOne(PLAN.local)].map((local) => [local.batchSize, new LocalTrainer(PLAN.network, local)]));
const placeOf = (client: number, round: number) => ({ seed: PLAN.seed * 1_000_003 + client, round });
const first = trainers.get(PLAN.local.batchSize)!.initialParameters();

/** The same rounds, computed here: what each client trains, sends, and what becomes of all. */
async function expectedParameters(memberOf: ReadonlyMap<number, FederationMember>): Promise<Float32Array> {
  let [parameters, state] = [first, beginningState(PLAN)];
  for (let round = 1; round <= ROUNDS; round++) {
    const about = { clients: memberOf.size, expected: memberOf.size, noise: () => 0, statistics: [] };
    const combining = new Round(PLAN, parameters, state, about);
    for await (const update of learned(memberOf, round, parameters)) {
      const place = placeOf(update.client, round);
      const { sent } = sentUpdate(update, {}, { compression: PLAN.compression, rate: PLAN.local.rate, ...place });
      combining.add({ ...update, delta: sent.update });
    }
    ({ parameters, state } = combining.finish());
  }
  return parameters;
}

/** The same with secure aggregation: the mean of fixed-point numbers that nobody masks. */
async function expectedOfSums(memberOf: ReadonlyMap<number, FederationMember>, secure: SecureRules): Promise<Float32Array> {
  let parameters = first;
  for (let round = 1; round <= ROUNDS; round++) {
    const sum = new Uint32Array(parameters.length + 1);
    const count = memberOf.size;
    for await (const update of learned(memberOf, round, parameters))
      weightedNumbers(update, secure, count).forEach((x, i) => {
        sum[i] = sum[i]! + x;
      });
    const mean = weightedMeanOfSum(sum, secure, { survivors: count, count });
    ({ parameters } = afterMean(PLAN.strategy, parameters, mean, beginningState(PLAN), []));
  }
  return parameters;
}

/** Pages need a browser and a place that gives them their script. */
async function withPages<T>(executablePath: string, work: (browser: Browser, site: string) => Promise<T>): Promise<T> {
  const site = await serve(await bundled());
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  try {
    return await work(browser, addressOf(site));
  } finally {
    await browser.close();
    site.close();
  }
}

test("three pages, two Node clients and a Cortex-M4 train one model, bit for bit as one process does; so do three whose updates nobody sees", async (context) => {
  const executablePath = needBrowser(context);
  needTools(context, ...coreTools(coreById("cortex-m4")));
  await withPages(executablePath, async (browser, site) => {
    expect(await inPage(browser, site, "keptHere")).toEqual([[3], null, null]);
    const plain = await federated(PLAN, MEMBERS, browser, site);
    expect(await inPage(browser, site, "keptHere")).toEqual([[3], null, null]);
    expect(plain.memberOf.size).toBe(MEMBERS.length);
    expect(plain.parameters).toEqual(await expectedParameters(plain.memberOf));
    // A page, a Node client and the microcontroller, whose gateway masks for it.
    const secure = { ...DEFAULT_SECURE_RULES, minimum: 3, mostSamples: 16 };
    const some = [PAGES - 1, PAGES, DEVICE].map((index) => MEMBERS[index]!);
    const unseen = await federated({ ...PLAN, compression: { kind: "none" }, secure }, some, browser, site);
    expect(unseen.parameters).toEqual(await expectedOfSums(unseen.memberOf, secure));
  });
}, 600_000);
