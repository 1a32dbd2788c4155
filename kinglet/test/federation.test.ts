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
  clientFirmware,
  Coordinator,
  DEFAULT_RULES,
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
  serveFederation,
  sign,
  STRATEGIES,
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

/** The same rounds, computed here: what each client trains, sends, and what becomes of all. */
async function expectedParameters(memberOf: ReadonlyMap<number, FederationMember>): Promise<Float32Array> {
  const trainers = new Map([PLAN.local, oneByOne(PLAN.local)].map((local) => [local.batchSize, new LocalTrainer(PLAN.network, local)]));
  const usual = trainers.get(PLAN.local.batchSize)!;
  let [parameters, state] = [usual.initialParameters(), beginningState(PLAN)];
  for (let round = 1; round <= ROUNDS; round++) {
    const about = { clients: memberOf.size, expected: memberOf.size, noise: () => 0, statistics: [] };
    const combining = new Round(PLAN, parameters, state, about);
    for (const [client, member] of [...memberOf].sort(([a], [b]) => a - b)) {
      const trainer = member.index === DEVICE ? trainers.get(1)! : usual;
      const dataset = datasetFromArrays(membersSamples(member));
      const place = { seed: PLAN.seed * 1_000_003 + client, round };
      const positions = Int32Array.from({ length: member.count }, (_, i) => i);
      const learned = await trainer.train(dataset, positions, client, { parameters, ...place });
      const { sent } = sentUpdate(learned, {}, { compression: PLAN.compression, rate: PLAN.local.rate, ...place });
      combining.add({ ...learned, delta: sent.update });
    }
    ({ parameters, state } = combining.finish());
  }
  return parameters;
}

test("three pages, two Node clients and a Cortex-M4 train one model, bit for bit as one process does", async (context) => {
  const executablePath = needBrowser(context);
  needTools(context, ...coreTools(coreById("cortex-m4")));
  const folder = await mkdtemp(joinPath(tmpdir(), "kinglet-federation-"));
  const keys = newProjectKeys();
  const project = projectOf(keys.publicKey);
  const token = sign("enrolment", { project, id: "0b".repeat(16), uses: MEMBERS.length, expires: Date.now() + 3_600_000 }, keys.secretKey);
  const rules = { ...DEFAULT_RULES, rounds: ROUNDS, share: 1, ready: MEMBERS.length, minimum: MEMBERS.length, spare: 1, seconds: 500 };
  const coordinator = await Coordinator.open(await openSqlite(joinPath(folder, "federation.db")), { plan: PLAN, rules, keys });
  const federation = await serveFederation(coordinator, { host: "127.0.0.1" });
  const site = await serve(await bundled());
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  try {
    const url = `http://127.0.0.1:${federation.port}`;
    const took = await Promise.all(
      MEMBERS.map((member) => {
        if (member.index < PAGES) return inPage(browser, addressOf(site), "joinHere", url, token, member) as Promise<Participation>;
        if (member.index === DEVICE) return deviceJoins(url, token, member);
        return nodeJoins(url, token, membersSamples(member), member.index === PAGES ? "auto" : "poll");
      }),
    );
    expect(await inPage(browser, addressOf(site), "keptHere")).toEqual([[3], null, null]);
    for (const each of took) expect(each).toMatchObject({ rounds: ROUNDS, version: ROUNDS });
    const memberOf = new Map(took.map(({ client }, i) => [client, MEMBERS[i]!]));
    expect(memberOf.size).toBe(MEMBERS.length);
    const { body } = await coordinator.version(ROUNDS);
    expect(new Float32Array(body.slice().buffer)).toEqual(await expectedParameters(memberOf));
  } finally {
    await browser.close();
    site.close();
    await federation.stop();
    await coordinator.close();
    await rm(folder, { recursive: true, force: true });
  }
}, 600_000);
