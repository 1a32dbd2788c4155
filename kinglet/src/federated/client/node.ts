import { readdir, readFile } from "node:fs/promises";
import { availableParallelism, loadavg } from "node:os";
import { join as joinPath } from "node:path";
import { WebSocket } from "ws";
import { augmentsOf } from "../../data/index.ts";
import { readKinglet } from "../../formats/browser.ts";
import { writeDurably } from "../../train/index.ts";
import { DeviceLearner } from "../device/device-learner.ts";
import type { LinkOptions, SerialLine } from "../device/link.ts";
import type { OnStep } from "../local.ts";
import { type ClientOptions, type MakeLearner, type Participation, type Platform, takePart } from "./client.ts";
import type { NodeSamples } from "./node-samples.ts";
import { startThread } from "./node-thread.ts";
import type { ClientStore, Kept } from "./store.ts";
import type { Socket } from "./transport.ts";
import { WorkerLearner } from "./worker-learner.ts";

export interface NodeJoinOptions extends ClientOptions {
  readonly data: NodeSamples;
  /** Most bytes for a training step; more is refused before any is taken. */
  readonly memoryLimit?: number;
  readonly onStep?: OnStep;
}

const POWER = "/sys/class/power_supply";

/** Linux tells whether something feeds the machine; a machine without a battery has nothing that could stop. */
async function charging(): Promise<boolean | undefined> {
  const read = (name: string, what: string): Promise<string> => readFile(joinPath(POWER, name, what), "utf8").catch(() => "");
  const supplies = await readdir(POWER).catch(() => []);
  const kinds = await Promise.all(
    supplies.map(async (name) => ({ kind: (await read(name, "type")).trim(), online: (await read(name, "online")).trim() })),
  );
  const feeding = kinds.filter(({ kind }) => kind === "Mains" || kind === "USB");
  return feeding.length === 0 ? undefined : feeding.some(({ online }) => online === "1");
}

/** Half of the processors have nothing to do. */
async function idle(): Promise<boolean | undefined> {
  return process.platform === "win32" ? undefined : loadavg()[0]! < availableParallelism() / 2;
}

/** The sockets of `ws` are like those of pages, though their types are not. */
export const openSocket = async (url: string): Promise<Socket> => new WebSocket(url, { perMessageDeflate: false }) as unknown as Socket;

const NODE: Platform = {
  openSocket,
  // No system call tells what a connection costs.
  readings: { charging, unmetered: async () => undefined, idle },
};

/** Keeps who a client is in this file, and what it remembers beside it, in `PATH.memory`; only their owner reads them. */
export function fileStore(path: string): ClientStore {
  const place = (what: Kept): string => (what === "identity" ? path : `${path}.memory`);
  return {
    load: (what) => readFile(place(what)).catch((error: NodeJS.ErrnoException) => (error.code === "ENOENT" ? null : Promise.reject(error))),
    save: (what, bytes) => writeDurably(place(what), bytes, 0o600),
  };
}

/**
 * Takes part in a federation until it has finished: trains in a worker when the coordinator asks, and sends updates, never samples.
 * @throws KingletError as `takePart` does, `does-not-fit` beyond the memory limit.
 */
export async function join(url: string, options: NodeJoinOptions): Promise<Participation> {
  const { data, memoryLimit, onStep, ...rest } = options;
  const limit = memoryLimit === undefined ? {} : { memoryLimit };
  const make: MakeLearner = (network, description) => WorkerLearner.open(startThread, { network, description, data, ...limit }, onStep);
  return await takePart(url, make, rest, NODE);
}

/**
 * Takes part for a device behind a serial line, which learns from its own samples. The line is closed at the end.
 * @throws KingletError as `takePart` and `DeviceLearner.open` do.
 */
export async function joinForDevice(url: string, line: SerialLine, options: ClientOptions & { readonly link?: LinkOptions }): Promise<Participation> {
  const { link, ...rest } = options;
  const make: MakeLearner = (network, { local, augmentation }) =>
    DeviceLearner.open(line, readKinglet(network, "the federation's network"), { ...local, augment: augmentsOf(augmentation) }, link);
  try {
    return await takePart(url, make, rest, NODE);
  } finally {
    await line.close();
  }
}
