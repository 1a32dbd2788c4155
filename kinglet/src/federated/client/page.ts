import { datasetFromArrays, type SamplesInMemory } from "../../data/browser.ts";
import type { OnStep } from "../local.ts";
import { type ClientOptions, type Participation, type Platform, takePart } from "./client.ts";
import type { ClientStore } from "./store.ts";
import type { FromWorker, ToWorker } from "./training-worker.ts";
import { type WorkerThread, WorkerLearner } from "./worker-learner.ts";

export interface PageJoinOptions extends ClientOptions {
  /** What this page learns from. It goes to the page's own worker, and no further. */
  readonly data: SamplesInMemory;
  /** Most bytes for a training step; more is refused before any is taken. */
  readonly memoryLimit?: number;
  readonly onStep?: OnStep;
}

/** What browsers tell of the machine, where they do; not all in the library's types. */
interface TellingNavigator {
  readonly getBattery?: () => Promise<{ readonly charging: boolean }>;
  readonly connection?: { readonly saveData?: boolean; readonly type?: string };
}

async function charging(): Promise<boolean | undefined> {
  return (await (navigator as TellingNavigator).getBattery?.())?.charging;
}

async function unmetered(): Promise<boolean | undefined> {
  const { connection } = navigator as TellingNavigator;
  if (connection === undefined) return undefined;
  return connection.saveData !== true && connection.type !== "cellular";
}

/** A page that somebody looks at is in use. */
async function idle(): Promise<boolean> {
  return document.visibilityState === "hidden";
}

const PAGE: Platform = { openSocket: async (url) => new WebSocket(url), readings: { charging, unmetered, idle } };

function startThread(): WorkerThread<SamplesInMemory> {
  const worker = new Worker(new URL("./page-worker.ts", import.meta.url), { type: "module" });
  return {
    post: (message: ToWorker<SamplesInMemory>) => worker.postMessage(message),
    listen: (hear, lost) => {
      worker.onmessage = ({ data }: MessageEvent<FromWorker>) => hear(data);
      worker.onerror = ({ message }) => lost(message || "the page does not allow it");
    },
    close: async () => worker.terminate(),
  };
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((done, fail) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => fail(request.error);
  });
}

const TABLE = "kept";

/** Keeps who a client is and what it remembers in the page's own storage, a database of this name (IndexedDB). */
export function pageStore(name: string): ClientStore {
  const opening = indexedDB.open(name, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(TABLE);
  const database = settled(opening);
  return {
    load: async (what) => (await settled((await database).transaction(TABLE).objectStore(TABLE).get(what))) ?? null,
    save: async (what, bytes) => {
      const transaction = (await database).transaction(TABLE, "readwrite", { durability: "strict" });
      await new Promise<void>((done, fail) => {
        transaction.oncomplete = () => done();
        transaction.onabort = () => fail(transaction.error);
        transaction.objectStore(TABLE).put(bytes, what);
      });
    },
  };
}

/**
 * Takes part in a federation until it has finished: trains in a worker of this page when the coordinator asks, and sends updates, never samples.
 * @throws KingletError as `takePart` does, `does-not-fit` beyond the memory limit.
 */
export async function join(url: string, options: PageJoinOptions): Promise<Participation> {
  const { data, memoryLimit, onStep, ...rest } = options;
  datasetFromArrays(data);
  const limit = memoryLimit === undefined ? {} : { memoryLimit };
  return await takePart(url, (network, description) => WorkerLearner.open(startThread, { network, description, data, ...limit }, onStep), rest, PAGE);
}
