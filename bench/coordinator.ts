// `npm run bench:coordinator [-- --json] [crashes|sockets|secure]`: a coordinator that is killed ten times in fifty rounds, and one that holds 2,000
// sockets and finishes rounds of 200 clients with a network of 199,210 parameters, and one that adds 20 updates of it up unseen. No data is
// needed: updates are invented.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocket } from "ws";
import {
  ALL_AT_ONCE,
  enrolmentToken,
  KEYS,
  largePlan,
  patiently,
  sleep,
  statusOf,
  TestClient,
} from "../kinglet/src/federated/coordinator/coordinator-testing.ts";
import { runWithCrashes } from "../kinglet/src/federated/coordinator/crash-testing.ts";
import { freePort, startProcess } from "../kinglet/src/federated/coordinator/process-testing.ts";
import { memoryMiB, secure } from "./federated/secure.ts";
import { compress, encodeUpdate, type ServerMessage, type Task } from "../kinglet/src/federated/index.ts";

const [CLIENTS, PER_ROUND, ROUNDS] = [2000, 200, 10];
const AT_ONCE = 50;
const COMPRESSION = largePlan().compression;

interface SocketReport {
  readonly clients: number;
  readonly rounds: number;
  readonly updates: number;
  /** Updates that were wanted and did not count, and sockets that broke. */
  readonly lost: number;
  readonly broken: number;
  readonly enrolSeconds: number;
  /** From the first ready client to the last version. */
  readonly secondsPerRound: number;
  readonly updateBytes: number;
  /** Of the coordinator's process. */
  readonly residentMiB: number;
  readonly peakMiB: number;
}

/** Runs `act` for each of many, some at a time. */
async function forMany<T, R>(all: readonly T[], act: (each: T) => Promise<R>): Promise<R[]> {
  const results: R[] = new Array<R>(all.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < all.length; i = next++) results[i] = await act(all[i]!);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}

const tell = (what: string): void => void process.stderr.write(`${what}\n`);

/** One client: reads the model that it is asked about, sends an update, and waits for the next task. */
class SocketClient {
  readonly client: TestClient;
  readonly finished: Promise<void>;
  broken = false;
  private readonly socket: WebSocket;
  private readonly delta: Uint8Array;

  constructor(client: TestClient, delta: Uint8Array) {
    this.client = client;
    this.delta = delta;
    this.socket = new WebSocket(`${client.url.replace("http", "ws")}/v1/socket`);
    this.finished = new Promise((done) => {
      this.socket.on("open", () => this.socket.send(JSON.stringify({ type: "hello", credential: client.credential })));
      this.socket.on("message", (data) => {
        const message = JSON.parse(data.toString()) as ServerMessage;
        if (message.type === "task") void this.answer(message.task).catch(() => (this.broken = true));
        if (message.type === "finished") done();
      });
      this.socket.on("error", () => (this.broken = true));
      this.socket.on("close", () => {
        this.broken = true;
        done();
      });
    });
  }

  ready(): void {
    this.socket.send(JSON.stringify({ type: "ready" }));
  }

  get open(): boolean {
    return this.socket.readyState === WebSocket.OPEN;
  }

  private async answer({ round, version }: Task): Promise<void> {
    await patiently(async () => await (await this.client.request(`/v1/parameters/${version}`)).arrayBuffer());
    const samples = 10 + this.client.client;
    const frame = encodeUpdate({ round, version, samples, steps: 2, delta: this.delta }, COMPRESSION);
    await patiently(() => this.client.submit(round, frame));
  }
}

async function sockets(folder: string): Promise<SocketReport> {
  const rules = { ...ALL_AT_ONCE, rounds: ROUNDS, share: PER_ROUND / CLIENTS, minimum: PER_ROUND, ready: CLIENTS, seconds: 600 };
  const port = await freePort();
  const child = await startProcess({ store: join(folder, "sockets.db"), port, keys: KEYS, rules, large: true });
  const url = `http://127.0.0.1:${port}`;
  try {
    const token = enrolmentToken(KEYS);
    const enrol = async (): Promise<TestClient> => {
      // The same nonce: whoever is not answered and asks again enrols once.
      const nonce = randomBytes(16).toString("hex");
      return await patiently(() => TestClient.enrol(url, token, nonce));
    };
    const begun = performance.now();
    const enrolled = await forMany(Array.from({ length: CLIENTS }), enrol);
    const enrolSeconds = (performance.now() - begun) / 1000;
    const length = (await enrolled[0]!.parameters(0)).length;
    const delta = compress(
      Float32Array.from({ length }, (_, i) => Math.sin(i) / 1000),
      largePlan().compression,
      [1],
    ).bytes;
    tell(`${CLIENTS} clients are enrolled`);
    const clients = await forMany(enrolled, async (client) => {
      const each = new SocketClient(client, delta);
      while (!each.open && !each.broken) await sleep(20);
      return each;
    });
    tell(`${CLIENTS} sockets are open`);
    const start = performance.now();
    for (const client of clients) client.ready();
    await Promise.all(clients.map(({ finished }) => finished));
    const seconds = (performance.now() - start) / 1000;
    const [residentMiB, peakMiB] = [await memoryMiB(child.pid!, "VmRSS"), await memoryMiB(child.pid!, "VmHWM")];
    const { version, rounds } = await statusOf(url, KEYS);
    const updates = rounds.reduce((sum, { answered }) => sum + answered, 0);
    const broken = clients.filter((client) => client.broken).length;
    const updateBytes = rounds[0]!.bytes / rounds[0]!.answered;
    const lost = version * PER_ROUND - updates;
    return {
      clients: CLIENTS,
      rounds: version,
      updates,
      lost,
      broken,
      enrolSeconds,
      secondsPerRound: seconds / version,
      updateBytes,
      residentMiB,
      peakMiB,
    };
  } finally {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
}

const ROWS = {
  crashes: (folder: string) =>
    runWithCrashes({ store: join(folder, "crashes.db"), processes: 1, clients: 20, rounds: 50, kills: 10, deaths: 0.05, seed: 1 }),
  sockets,
  secure,
} as const;

const args = process.argv.slice(2);
const wanted = args.filter((arg) => !arg.startsWith("-"));
const unknown = wanted.filter((name) => !Object.hasOwn(ROWS, name));
if (unknown.length > 0) throw new Error(`no row ${unknown.join(", ")}; there are ${Object.keys(ROWS).join(", ")}`);
for (const [name, run] of Object.entries(ROWS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const folder = await mkdtemp(join(tmpdir(), "kinglet-coordinator-"));
  try {
    const report = await run(folder);
    if (args.includes("--json")) console.log(JSON.stringify({ row: name, ...report }));
    else
      console.log(
        [
          name,
          ...Object.entries(report).map(([key, value]) => `  ${key.padEnd(16)} ${typeof value === "number" ? Number(value.toFixed(2)) : value}`),
        ].join("\n"),
      );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
// Fetch keeps connections to a coordinator that is gone.
process.exit(0);
