import { split } from "shamir-secret-sharing";
import { KingletError } from "../../base/index.ts";
import { addMask, KEY_BYTES, type KeyPair, newKeys, randomBytes, seal, sharedKey, unseal } from "./crypto.ts";
import { checkGroup, failClosed, type KeyAdvertisement, type MaskedInput, type Revelation, type SealedShares } from "./messages.ts";

/** Where a client is in a round; it never goes back. */
type Stage = "new" | "advertised" | "shared" | "masked" | "revealed";

/**
 * A client of one round of secure aggregation (Bonawitz et al., CCS 2017, against a coordinator that follows the protocol and is curious):
 * `advertise`, `share`, `mask`, `reveal`, each once, in this order. Every secret is new in each round.
 */
export class SecureClient {
  readonly client: number;
  private readonly round: number;
  private stage: Stage = "new";
  private readonly channel: KeyPair = newKeys();
  private readonly masks: KeyPair = newKeys();
  private readonly seed = randomBytes(KEY_BYTES);
  private threshold = 0;
  /** The others of the group, then those of them whose shares came. */
  private peers = new Map<number, KeyAdvertisement>();
  private received: Map<number, Uint8Array> = new Map();

  constructor(client: number, round: number) {
    this.client = client;
    this.round = round;
  }

  private enter(stage: Stage, after: Stage): void {
    if (this.stage !== after) failClosed(`client ${this.client} was asked to go on from "${this.stage}" as if it were "${after}"`);
    this.stage = stage;
  }

  advertise(): KeyAdvertisement {
    this.enter("advertised", "new");
    return { client: this.client, channelKey: this.channel.publicKey, maskKey: this.masks.publicKey };
  }

  private about(from: number, to: number): string {
    return `round ${this.round}, from ${from} to ${to}`;
  }

  private channelKey(peer: KeyAdvertisement): Uint8Array {
    return sharedKey(this.channel.secretKey, peer.channelKey, `channel, round ${this.round}`);
  }

  /**
   * Shares of this client's secrets for each of the others.
   * @throws KingletError `check-failed` where the group is not what it must be, `misuse` for a threshold that is not safe.
   */
  async share(group: readonly KeyAdvertisement[], threshold: number): Promise<SealedShares[]> {
    this.enter("shared", "advertised");
    checkGroup({ clients: group.map(({ client }) => client), threshold });
    const keys = group.flatMap(({ channelKey, maskKey }) => [channelKey.toString(), maskKey.toString()]);
    if (new Set(keys).size !== keys.length) failClosed("two clients have the same key");
    const own = group.find(({ client }) => client === this.client);
    if (own?.maskKey.toString() !== this.masks.publicKey.toString()) failClosed(`client ${this.client} is not in the group with its own key`);
    this.threshold = threshold;
    this.peers = new Map(group.filter(({ client }) => client !== this.client).map((each) => [each.client, each]));
    const [keyShares, seedShares] = await Promise.all([
      split(this.masks.secretKey, group.length, threshold),
      split(this.seed, group.length, threshold),
    ]);
    const ownAt = group.indexOf(own!);
    this.received.set(this.client, joined(keyShares[ownAt]!, seedShares[ownAt]!));
    return group.flatMap((peer, i) =>
      peer.client === this.client
        ? []
        : [
            {
              from: this.client,
              to: peer.client,
              sealed: seal(this.channelKey(peer), joined(keyShares[i]!, seedShares[i]!), this.about(this.client, peer.client)),
            },
          ],
    );
  }

  /**
   * The client's numbers with its own mask and one for each other client whose shares came; those who sent none are out.
   * @throws KingletError `check-failed` for fewer clients than the threshold, `bad-input` for shares that were changed.
   */
  mask(numbers: Uint32Array, shares: readonly SealedShares[]): MaskedInput {
    this.enter("masked", "shared");
    for (const { from, to, sealed } of shares) {
      const peer = this.peers.get(from);
      if (peer === undefined || to !== this.client || this.received.has(from)) failClosed(`shares from ${from} to ${to} came to ${this.client}`);
      this.received.set(from, unseal(this.channelKey(peer!), sealed, this.about(from, to)));
    }
    if (this.received.size < this.threshold) failClosed(`${this.received.size} clients are there, and ${this.threshold} must be`);
    const masked = numbers.slice();
    addMask(masked, this.seed, 1);
    for (const from of this.received.keys())
      if (from !== this.client) addMask(masked, this.pairSeed(this.peers.get(from)!), from > this.client ? 1 : -1);
    return { client: this.client, masked };
  }

  private pairSeed({ client, maskKey }: KeyAdvertisement): Uint8Array {
    return sharedKey(this.masks.secretKey, maskKey, pairPurpose(this.round, this.client, client));
  }

  /**
   * Its shares of the survivors' seeds and of the others' keys; of nobody both, and only once.
   * @throws KingletError `check-failed` for fewer survivors than the threshold, or for survivors that were not there.
   */
  reveal(survivors: readonly number[]): Revelation {
    this.enter("revealed", "masked");
    const stayed = new Set(survivors);
    if (stayed.size !== survivors.length || !stayed.has(this.client)) failClosed(`the survivors ${survivors.join(", ")} cannot be`);
    if (survivors.some((client) => !this.received.has(client))) failClosed("a survivor is named that was never there");
    if (stayed.size < this.threshold) failClosed(`${stayed.size} clients stayed, and ${this.threshold} must`);
    const seedShares = new Map<number, Uint8Array>();
    const keyShares = new Map<number, Uint8Array>();
    for (const [client, both] of this.received) {
      if (stayed.has(client)) seedShares.set(client, both.subarray(both.length / 2));
      else keyShares.set(client, both.subarray(0, both.length / 2));
    }
    return { client: this.client, seedShares, keyShares };
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length !== b.length) throw new KingletError("internal", "shares of two secrets differ in length");
  const both = new Uint8Array(2 * a.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** What a mask between two clients is for, the same for both. */
export function pairPurpose(round: number, a: number, b: number): string {
  return `mask, round ${round}, ${Math.min(a, b)} and ${Math.max(a, b)}`;
}
