// Secure aggregation over HTTP: what a round takes of clients and coordinator.
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ALL_AT_ONCE, enrolAll, KEYS, sleep, statusOf } from "../../kinglet/src/federated/coordinator/coordinator-testing.ts";
import { freePort, startProcess } from "../../kinglet/src/federated/coordinator/process-testing.ts";
import { playRound, StepClient } from "../../kinglet/src/federated/coordinator/secure-testing.ts";

const CLIENTS = 20;
/** Those who drop out of the second round before they send their updates: their masks with all others have to be found. */
const DROPPING = [7, 19];

export interface SecureReport {
  readonly clients: number;
  readonly parameters: number;
  /** Of a client in the first round, the model itself apart. */
  readonly sentBytes: number;
  readonly shownBytes: number;
  /** Processor time of a client in the first round: its keys, shares and masks, and what sends them. */
  readonly clientSeconds: number;
  /** From the first keys to the next version. */
  readonly roundSeconds: number;
  /** From the last revelation to the next version, without drop-outs and with them. */
  readonly sumSeconds: number;
  readonly dropped: number;
  readonly sumWithDroppedSeconds: number;
  /** Of the coordinator's process. */
  readonly peakMiB: number;
}

export async function memoryMiB(pid: number, field: "VmRSS" | "VmHWM"): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Math.round(Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? Number.NaN) / 1024);
}

async function untilVersion(url: string, version: number): Promise<void> {
  while ((await statusOf(url, KEYS)).version < version) await sleep(20);
}

const since = (start: number): number => (performance.now() - start) / 1000;

export async function secure(folder: string): Promise<SecureReport> {
  const rules = { ...ALL_AT_ONCE, rounds: 2, ready: CLIENTS, seconds: 600, stepSeconds: 600 };
  const port = await freePort();
  const child = await startProcess({ store: join(folder, "secure.db"), port, keys: KEYS, rules, large: true, secure: true });
  const url = `http://127.0.0.1:${port}`;
  try {
    const clients = await enrolAll(url, CLIENTS);
    const parameters = (await clients[0]!.parameters(0)).length;
    const players = clients.map((client) => new StepClient(client, parameters));
    const [start, processor] = [performance.now(), process.cpuUsage()];
    await playRound(players, {}, async () => {});
    const { user, system } = process.cpuUsage(processor);
    const revealed = performance.now();
    await untilVersion(url, 1);
    const [roundSeconds, sumSeconds] = [since(start), since(revealed)];
    const [{ bytes }] = players as [StepClient];
    const { sent, shown } = bytes;
    await playRound(players, { update: DROPPING }, async ({ round }) => {
      for (const client of DROPPING) await clients[client - 1]!.decline(round);
    });
    const again = performance.now();
    await untilVersion(url, 2);
    return {
      clients: CLIENTS,
      parameters,
      sentBytes: sent,
      shownBytes: shown,
      clientSeconds: (user + system) / 1e6 / CLIENTS,
      roundSeconds,
      sumSeconds,
      dropped: DROPPING.length,
      sumWithDroppedSeconds: since(again),
      peakMiB: await memoryMiB(child.pid!, "VmHWM"),
    };
  } finally {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
}
