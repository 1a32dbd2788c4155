import { createHash } from "node:crypto";
import {
  advertisementOf,
  checkedJson,
  decodeUpdate,
  type GroupAnswer,
  KeysMessage,
  Refusal,
  RevelationMessage,
  type SecureStep,
  type SharesAnswer,
  SharesMessage,
  type SurvivorsAnswer,
  type UpdateForm,
} from "../protocol/index.ts";
import { isPublicKey } from "../secure/index.ts";
import type { Check, Kept, KeptShares, SecureStore } from "./secure-store.ts";

interface Around {
  readonly store: SecureStore;
  readonly form: UpdateForm;
  readonly now: () => number;
  /** Told after each answer that is kept. */
  readonly onAnswer: () => void;
}

/** What a client says, and in which round. */
interface Said {
  readonly client: number;
  readonly round: number;
  readonly body: Uint8Array;
}

const textOf = ({ body }: Pick<Said, "body">): string => new TextDecoder().decode(body);

/** Keys that were checked when they came. */
function keysOf(kept: Kept): KeysMessage {
  return checkedJson(KeysMessage, textOf(kept), "the keys");
}

/** Refused unless `given` are just these clients, each once. */
function unless(given: readonly number[], expected: readonly number[], what: string): Refusal | undefined {
  const others = new Set(expected);
  const right = given.length === expected.length && given.every((client) => others.delete(client));
  return right
    ? undefined
    : new Refusal("malformed", `${what} are for ${given.join(", ") || "nobody"}, and not for ${expected.join(", ") || "nobody"}`);
}

/** What clients answer to the steps of secure aggregation, and what they ask then. An answer is durable once it is acknowledged. */
export class SecureRequests {
  private readonly around: Around;

  constructor(around: Around) {
    this.around = around;
  }

  private async keep(step: SecureStep, { client, round, body }: Said, check: Check, shares: readonly KeptShares[] = []): Promise<void> {
    const { store, now, onAnswer } = this.around;
    const digest = createHash("sha256").update(body).digest("hex");
    await store.accept({ round, client, step, digest, body }, shares, check, now());
    onAnswer();
  }

  /** Keeps what a client answers to a step. @throws Refusal for whatever is wrong with it, or with who sends it when. */
  async answer(step: SecureStep, said: Said): Promise<void> {
    await this[step](said);
  }

  private async keys(said: Said): Promise<void> {
    const own = checkedJson(KeysMessage, textOf(said), "the keys");
    const { channelKey, maskKey } = advertisementOf(said.client, own);
    if (!isPublicKey(channelKey) || !isPublicKey(maskKey)) throw new Refusal("malformed", "the keys are no public keys");
    await this.keep("keys", said, async (read) => {
      const taken = new Set((await read.answers("keys")).flatMap((kept) => Object.values(keysOf(kept))));
      const isNew = !taken.has(own.channelKey) && !taken.has(own.maskKey) && own.channelKey !== own.maskKey;
      return isNew ? undefined : new Refusal("malformed", "the keys are somebody's already");
    });
  }

  private async shares(said: Said): Promise<void> {
    const { shares } = checkedJson(SharesMessage, textOf(said), "the shares");
    const check: Check = async (read) => {
      const others = (await read.clients("keys")).filter((client) => client !== said.client);
      return unless(
        shares.map(({ to }) => to),
        others,
        "the shares",
      );
    };
    await this.keep("shares", said, check, shares);
  }

  private async update(said: Said): Promise<void> {
    const { round, version } = decodeUpdate(said.body, this.around.form);
    if (round !== said.round) throw new Refusal("malformed", `the update is of round ${round}, not ${said.round}`);
    await this.keep("update", said, async (read) => {
      const base = await read.version();
      return version === base ? undefined : new Refusal("malformed", `round ${round} begins with version ${base}, not ${version}`);
    });
  }

  private async revelation(said: Said): Promise<void> {
    const { seedShares, keyShares } = checkedJson(RevelationMessage, textOf(said), "the revelation");
    const about = (shares: typeof seedShares): number[] => shares.map(({ client }) => client);
    await this.keep("revelation", said, async (read) => {
      const survivors = await read.clients("update");
      const gone = (await read.clients("shares")).filter((client) => !survivors.includes(client));
      return unless(about(seedShares), survivors, "the shares of seeds") ?? unless(about(keyShares), gone, "the shares of keys");
    });
  }

  /** Everybody who sent keys, for a client that is asked to share with them. @throws Refusal where it is not. */
  async group(client: number, round: number): Promise<GroupAnswer> {
    const { store, now } = this.around;
    await store.checkAsked(client, round, "shares", now());
    const kept = await store.read(round).answers("keys");
    return { round, group: kept.map((each) => ({ client: each.client, ...keysOf(each) })) };
  }

  /** What the others shared with a client that is asked for its update. @throws Refusal where it is not. */
  async sharesFor(client: number, round: number): Promise<SharesAnswer> {
    const { store, now } = this.around;
    await store.checkAsked(client, round, "update", now());
    return { round, shares: await store.read(round).sharesFor(client) };
  }

  /** Whose updates are there, for a client that is asked to reveal. @throws Refusal where it is not. */
  async survivors(client: number, round: number): Promise<SurvivorsAnswer> {
    const { store, now } = this.around;
    await store.checkAsked(client, round, "revelation", now());
    return { round, survivors: await store.read(round).clients("update") };
  }
}
