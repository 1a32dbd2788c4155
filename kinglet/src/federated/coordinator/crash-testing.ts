import { createHash } from "node:crypto";
import { once } from "node:events";
import { Xorshift32 } from "../../base/index.ts";
import { Refusal, type Task } from "../protocol/index.ts";
import { ALL_AT_ONCE, enrolmentToken, inventedFrame, KEYS, patiently, sleep, TestClient, tinyPlan } from "./coordinator-testing.ts";
import { FederatedModel } from "./model.ts";
import { openStore } from "./open-store.ts";
import { freePort, type ProcessArguments, startProcess } from "./process-testing.ts";
import { NUMBER, TEXT } from "./rows.ts";
import { type Memory, Store, type StoredModel } from "./store.ts";

export interface CrashOptions extends Pick<ProcessArguments, "store" | "queue"> {
  /** Processes of the coordinator; each message of a client goes to the next one, as a balancer has it. */
  readonly processes: number;
  readonly clients: number;
  readonly rounds: number;
  /** How often one of them is killed. */
  readonly kills: number;
  /** What else goes wrong, once each and in between. */
  readonly troubles?: readonly (() => Promise<void>)[];
  /** Share of the tasks in which a client dies: before it sends, while it sends, or before it hears. */
  readonly deaths: number;
  readonly seed: number;
}

export interface CrashReport {
  /** Rounds that gave a version, and that did not. */
  readonly closed: number;
  readonly givenUp: number;
  readonly kills: number;
  readonly deaths: number;
  /** Updates that were acknowledged, and how many of them were not counted. */
  readonly acknowledged: number;
  readonly lost: number;
  /** Updates counted that no client sent, or that were counted in another form. */
  readonly invented: number;
  /** Whether the model is, bit for bit, the one that the counted updates give without a crash. */
  readonly sameModel: boolean;
  readonly seconds: number;
}

const digestOf = (frame: Uint8Array): string => createHash("sha256").update(frame).digest("hex");

/** Everything that clients sent and heard. */
class Diary {
  /** Frames by their digest. */
  readonly sent = new Map<string, Uint8Array>();
  readonly acknowledged: { readonly round: number; readonly client: number; readonly digest: string }[] = [];
  deaths = 0;
}

/** A client of several processes, whose messages go to one after the other. */
class WanderingClient {
  readonly client: number;
  private readonly lives: TestClient;
  private readonly urls: readonly string[];
  private sent = 0;

  constructor(client: TestClient, urls: readonly string[]) {
    this.client = client.client;
    this.lives = client;
    this.urls = urls;
    this.sent = client.client;
  }

  next(): TestClient {
    this.lives.url = this.urls[this.sent++ % this.urls.length]!;
    return this.lives;
  }
}

/** A client that answers each task, but sometimes dies; another life of it comes back and knows nothing. */
async function live(
  client: WanderingClient,
  length: number,
  { deaths, seed }: CrashOptions,
  diary: Diary,
  onAcknowledged: () => void,
): Promise<void> {
  const random = new Xorshift32(seed * 1000 + client.client);
  for (;;) {
    const answer = await patiently(() => client.next().task(5));
    if (answer === null) continue;
    if ("finished" in answer) return;
    await answerTask(client, answer.task, random.int(0, 9999) < 10_000 * deaths ? random.int(0, 2) : null, length, diary, onAcknowledged);
  }
}

async function answerTask(
  client: WanderingClient,
  task: Task,
  death: number | null,
  length: number,
  diary: Diary,
  onAcknowledged: () => void,
): Promise<void> {
  const frame = inventedFrame(task, client.client, length);
  if (death !== null) diary.deaths++;
  // Dead before it has sent: it comes back when the round is over for it.
  if (death === 0) return await sleep(200);
  diary.sent.set(digestOf(frame), frame);
  if (death !== null) {
    const gone = new AbortController();
    const sending = client
      .next()
      .request(`/v1/rounds/${task.round}/update`, { method: "POST", body: new Uint8Array(frame), signal: gone.signal })
      .catch(() => null);
    // Dead while it sends, or just before it would have heard.
    await sleep(death === 1 ? 0 : 10);
    gone.abort();
    await sending;
    return;
  }
  try {
    await patiently(() => client.next().submit(task.round, frame));
    diary.acknowledged.push({ round: task.round, client: client.client, digest: digestOf(frame) });
    onAcknowledged();
  } catch (error) {
    // The round was closed meanwhile: the update was never acknowledged.
    if (!(error instanceof Refusal && error.reason === "late")) throw error;
  }
}

/** What the store says was counted, compared with what clients know. */
async function audit(
  { store: place, queue }: CrashOptions,
  diary: Diary,
): Promise<Pick<CrashReport, "closed" | "givenUp" | "acknowledged" | "lost" | "invented" | "sameModel">> {
  const { database } = await openStore(place, queue);
  const store = await Store.open(database);
  const rounds = (await store.rounds(Number.MAX_SAFE_INTEGER)).reverse();
  const sql = "SELECT round, client, digest FROM tasks WHERE status = 'answered' ORDER BY round, client";
  const tasks = await database.all({ round: NUMBER, client: NUMBER, digest: TEXT }, sql);
  const stored = (await store.newest("")).model;
  await database.close();
  const closed = rounds.filter(({ status }) => status === "closed");
  const counted = tasks.filter(({ round }) => closed.some((each) => each.round === round));
  const key = (each: { readonly [name: string]: unknown }): string => `${each["round"]} ${each["client"]} ${each["digest"]}`;
  const known = new Set(counted.map(key));
  const model = new FederatedModel(tinyPlan(), KEYS);
  let [version, memory]: [StoredModel, Memory] = [model.first(0), new Map()];
  for (const round of closed) {
    const frames = counted.filter((task) => task.round === round.round).map(({ client, digest }) => ({ client, frame: diary.sent.get(digest)! }));
    const stream = (async function* () {
      yield* frames;
    })();
    ({ model: version, memory } = await model.next(version, memory, stream, { round, clients: 0, time: 0, mostSamples: ALL_AT_ONCE.mostSamples }));
  }
  return {
    closed: closed.length,
    givenUp: rounds.filter(({ status }) => status === "given up").length,
    acknowledged: diary.acknowledged.length,
    lost: diary.acknowledged.filter((each) => !known.has(key(each))).length,
    invented: counted.filter(({ digest }) => !diary.sent.has(digest)).length,
    sameModel: stored.version === version.version && Buffer.from(stored.body).equals(Buffer.from(version.body)),
  };
}

/** A federation whose coordinator's processes are killed and started again, and whose clients die, at moments that follow from the seed. */
export async function runWithCrashes(options: CrashOptions): Promise<CrashReport> {
  const { store, queue, processes, clients: count, rounds, kills, troubles = [], seed } = options;
  const start = performance.now();
  const rules = { ...ALL_AT_ONCE, rounds, share: 0.5, spare: 1.3, ready: Math.ceil(count / 2), seconds: 5 };
  const place = { store, ...(queue === undefined ? {} : { queue }), keys: KEYS, rules };
  const args: ProcessArguments[] = [];
  for (let i = 0; i < processes; i++) args.push({ ...place, port: await freePort() });
  const children = await Promise.all(args.map(startProcess));
  const urls = args.map(({ port }) => `http://127.0.0.1:${port}`);
  const token = enrolmentToken(KEYS);
  const enrolled = await Promise.all(Array.from({ length: count }, (_, i) => TestClient.enrol(urls[i % processes]!, token)));
  const { length } = await enrolled[0]!.parameters(0);
  const clients = enrolled.map((client) => new WanderingClient(client, urls));
  const diary = new Diary();
  const random = new Xorshift32(seed);
  // After so many acknowledged updates each, while the next ones are on their way.
  const expected = Math.floor(rounds * Math.round(count * 0.5) * 0.7);
  const events = kills + troubles.length;
  const moments = Array.from({ length: events }, (_, i) => Math.floor(((i + random.int(0, 99) / 100) * expected) / events)).reverse();
  const end = async (i: number): Promise<void> => {
    children[i]!.kill("SIGKILL");
    await once(children[i]!, "exit");
  };
  let [killed, happened] = [0, 0];
  let restarting: Promise<void> = Promise.resolve();
  const killAndRestart = async (): Promise<void> => {
    const i = killed++ % processes;
    await end(i);
    children[i] = await startProcess(args[i]!);
  };
  /** Every other time something else, as long as there is something. */
  const goWrong = async (): Promise<void> => {
    await sleep(random.int(0, 15));
    const trouble = happened++ % 2 === 1 ? troubles[(happened - 2) / 2] : undefined;
    await (trouble ?? killAndRestart)();
  };
  const onAcknowledged = (): void => {
    if (moments.length === 0 || diary.acknowledged.length < moments.at(-1)!) return;
    moments.pop();
    restarting = restarting.then(goWrong);
  };
  await Promise.all(clients.map((client) => live(client, length, options, diary, onAcknowledged)));
  await restarting;
  await Promise.all(children.map((_, i) => end(i)));
  return { ...(await audit(options, diary)), kills: killed, deaths: diary.deaths, seconds: (performance.now() - start) / 1000 };
}
