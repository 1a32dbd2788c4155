import { bytesOf, fromBytes, Xorshift32 } from "../../base/index.ts";
import {
  advertisementOf,
  checkedJson,
  encodeUpdate,
  GroupAnswer,
  keysMessage,
  revelationMessage,
  sealedSharesOf,
  SECURE_STEPS,
  type SecureStep,
  SharesAnswer,
  sharesMessage,
  SurvivorsAnswer,
  type Task,
} from "../protocol/index.ts";
import { SecureClient, type SecureRules, thresholdOf, weightedMeanOfSum, weightedNumbers } from "../secure/index.ts";
import { patiently, securePlan, tasksOf, type TestClient } from "./coordinator-testing.ts";
import type { FederatedModel } from "./model.ts";
import type { StoredModel } from "./store.ts";

const RULES: SecureRules = securePlan().secure!;

/** An update that a client and a round give, as a training would, without one. */
function inventedUpdate({ round }: Pick<Task, "round">, client: number, length: number): { delta: Float32Array; samples: number } {
  const random = new Xorshift32(1000 * round + client);
  return { delta: Float32Array.from({ length }, () => random.float() - 0.5), samples: 10 + client };
}

/** A client of rounds of secure aggregation that does one step at a time, and may be told to stop in between. */
export class StepClient {
  readonly client: TestClient;
  /** Bytes of messages and of what was shown for them. */
  readonly bytes = { sent: 0, shown: 0 };
  private readonly length: number;
  private secure: SecureClient | undefined;
  private group = 0;

  constructor(client: TestClient, length: number) {
    this.client = client;
    this.length = length;
  }

  private async shown(round: number, what: "group" | "shares" | "survivors"): Promise<string> {
    const text = await this.client.shown(round, what);
    this.bytes.shown += text.length;
    return text;
  }

  /** What an honest client answers to a task. */
  async message(task: Task): Promise<string | Uint8Array<ArrayBuffer>> {
    const { client } = this;
    const { round, version } = task;
    switch (task.step) {
      case "keys":
        this.secure = new SecureClient(client.client, round);
        return JSON.stringify(keysMessage(this.secure.advertise()));
      case "shares": {
        const { group } = checkedJson(GroupAnswer, await this.shown(round, "group"), "the group");
        this.group = group.length;
        const keys = group.map((each) => advertisementOf(each.client, each));
        return JSON.stringify(sharesMessage(await this.secure!.share(keys, thresholdOf(RULES, group.length))));
      }
      case "update": {
        const shares = checkedJson(SharesAnswer, await this.shown(round, "shares"), "the shares");
        const numbers = weightedNumbers(inventedUpdate(task, client.client, this.length), RULES, this.group);
        const { masked } = this.secure!.mask(numbers, sealedSharesOf(client.client, shares));
        return new Uint8Array(encodeUpdate({ round, version, samples: 0, steps: 0, delta: bytesOf(masked) }, { kind: "masked" }));
      }
      case "revelation": {
        const { survivors } = checkedJson(SurvivorsAnswer, await this.shown(round, "survivors"), "the survivors");
        return JSON.stringify(revelationMessage(this.secure!.reveal(survivors)));
      }
      default:
        throw new Error("the task is none of secure aggregation");
    }
  }

  async answer(task: Task): Promise<void> {
    const message = await this.message(task);
    this.bytes.sent += message.length;
    await patiently(() => this.client.send(task.round, task.step!, message));
  }
}

/** Who does not answer which step. */
export type Dropping = Partial<Record<SecureStep, readonly number[]>>;

/**
 * One round: everybody answers each step but those who drop out. @param ended called after a step in which somebody did: its deadline shall come.
 * Gives the numbers of those whose updates were sent.
 */
export async function playRound(
  players: readonly StepClient[],
  dropping: Dropping,
  ended: (task: Task) => Promise<void>,
  last: SecureStep = "revelation",
): Promise<number[]> {
  let still = [...players];
  let sent: number[] = [];
  for (const step of SECURE_STEPS.slice(0, SECURE_STEPS.indexOf(last) + 1)) {
    const tasks = await tasksOf(still.map(({ client }) => client));
    const acting = still.filter(({ client }) => dropping[step]?.includes(client.client) !== true);
    await Promise.all(acting.map((player) => player.answer(tasks[still.indexOf(player)]!)));
    if (acting.length < still.length) await ended(tasks[0]!);
    still = acting;
    if (step === "update") sent = still.map(({ client }) => client.client);
  }
  return sent;
}

/** The version after a round, from the plain sum modulo 2^32 of the fixed-point numbers of those who sent theirs. */
export function plainlyAfter(model: FederatedModel, base: StoredModel, round: number, sent: readonly number[], group: number): Float32Array {
  const { length } = model.form;
  const sum = new Uint32Array(length + 1);
  for (const client of sent)
    weightedNumbers(inventedUpdate({ round }, client, length), RULES, group).forEach((x, i) => {
      sum[i] = sum[i]! + x;
    });
  const mean = weightedMeanOfSum(sum, RULES, { survivors: sent.length, count: group });
  return fromBytes("float32", model.afterMean(base, new Map(), mean, 0).model.body) as Float32Array;
}
