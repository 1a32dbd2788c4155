import { bytesOf, KingletError } from "../../base/index.ts";
import {
  advertisementOf,
  encodeUpdate,
  keysMessage,
  revelationMessage,
  sealedSharesOf,
  type SecureStep,
  sharesMessage,
  type Task,
} from "../protocol/index.ts";
import { SecureClient, type SecureRules, thresholdOf, weightedNumbers } from "../secure/index.ts";
import type { CoordinatorApi } from "./api.ts";
import type { Learned } from "./learner.ts";
import type { Member } from "./transport.ts";

/** What a client knows of a round that goes on; it lies nowhere else, and whoever loses it has dropped out. */
interface Going {
  readonly round: number;
  readonly version: number;
  readonly secure: SecureClient;
  readonly learned: Pick<Learned, "delta" | "samples">;
  /** Clients of the group, once it is known. */
  count: number;
}

type StepApi = Pick<CoordinatorApi, "answerStep" | "group" | "shares" | "submit" | "survivors">;
type Patiently = <T>(work: () => Promise<T>) => Promise<T>;

/**
 * A client's part in rounds of secure aggregation, one step after the other. What the coordinator shows is checked by the signed rules and by
 * `SecureClient`: a group or survivors that are too few, or others than they were, end the round for this client, and it reveals nothing.
 */
export class SecureParticipation {
  private readonly api: StepApi;
  private readonly member: Member;
  private readonly rules: SecureRules;
  private readonly patiently: Patiently;
  private going: Going | undefined;

  constructor(api: StepApi, member: Member, rules: SecureRules, patiently: Patiently) {
    this.api = api;
    this.member = member;
    this.rules = rules;
    this.patiently = patiently;
  }

  /** The first step of a round, for which the client has trained. */
  async begin({ round, version }: Task, learned: Learned): Promise<void> {
    const secure = new SecureClient(this.member.identity.client, round);
    this.going = { round, version, secure, learned, count: 0 };
    await this.say(round, "keys", keysMessage(secure.advertise()));
  }

  /**
   * A later step; gives the bytes of an update that was sent.
   * @throws KingletError `check-failed` where this client was not there from the beginning, or what it is shown must not be.
   */
  async goOn({ round, step }: Task): Promise<number | undefined> {
    const { going } = this;
    if (going?.round !== round) throw new KingletError("check-failed", "this client knows nothing of the round: it was started again meanwhile");
    try {
      if (step === "shares") return await this.share(going);
      if (step === "update") return await this.send(going);
      return await this.reveal(going);
    } catch (error) {
      // Secrets are for one use: after trouble that may have come in the middle of one they are for none.
      this.going = undefined;
      throw error;
    }
  }

  private async say(round: number, step: Exclude<SecureStep, "update">, message: object): Promise<void> {
    // Once: shares are drawn at random, and the same message must come when it is sent again.
    const text = JSON.stringify(message);
    await this.patiently(() => this.api.answerStep(this.member.identity, round, step, text));
  }

  private async share(going: Going): Promise<undefined> {
    const { round, secure } = going;
    const { group } = await this.patiently(() => this.api.group(this.member.identity, round));
    const threshold = thresholdOf(this.rules, group.length);
    const shares = await secure.share(
      group.map(({ client, ...keys }) => advertisementOf(client, keys)),
      threshold,
    );
    going.count = group.length;
    await this.say(round, "shares", sharesMessage(shares));
  }

  private async send({ round, version, secure, learned, count }: Going): Promise<number> {
    const shares = await this.patiently(() => this.api.shares(this.member.identity, round));
    const { masked } = secure.mask(weightedNumbers(learned, this.rules, count), sealedSharesOf(this.member.identity.client, shares));
    const frame = encodeUpdate({ round, version, samples: 0, steps: 0, delta: bytesOf(masked) }, { kind: "masked" });
    await this.patiently(() => this.api.submit(this.member.identity, round, frame));
    return frame.length;
  }

  private async reveal({ round, secure }: Going): Promise<undefined> {
    const { survivors } = await this.patiently(() => this.api.survivors(this.member.identity, round));
    await this.say(round, "revelation", revelationMessage(secure.reveal(survivors)));
    this.going = undefined;
  }
}
