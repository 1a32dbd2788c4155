import { combine } from "shamir-secret-sharing";
import { KingletError } from "../../base/index.ts";
import { pairPurpose } from "./client.ts";
import { addMask, belongs, sharedKey } from "./crypto.ts";
import { checkGroup, failClosed, type KeyAdvertisement, type MaskedInput, type Revelation, type SealedShares } from "./messages.ts";

/** Lets others have a turn: unmasking takes milliseconds for each client. */
const turn = (): Promise<void> => new Promise((done) => setTimeout(done));

/**
 * The coordinator of one round of secure aggregation: it learns the sum of the masked numbers of those who stay, and nothing else. Each
 * step takes what came until its deadline; who is missing has dropped out.
 */
export class SecureCoordinator {
  private readonly round: number;
  private readonly threshold: number;
  private readonly masked: Uint32Array;
  private group: readonly KeyAdvertisement[] = [];
  private sharers: ReadonlySet<number> = new Set();
  private readonly stayed = new Set<number>();

  /** @param length of the vectors. */
  constructor(round: number, threshold: number, length: number) {
    this.round = round;
    this.threshold = threshold;
    this.masked = new Uint32Array(length);
  }

  private enough(count: number, did: string): void {
    if (count < this.threshold) failClosed(`${count} clients ${did}, and ${this.threshold} must`);
  }

  /** The group, for everybody in it. */
  gather(advertisements: readonly KeyAdvertisement[]): readonly KeyAdvertisement[] {
    this.enough(advertisements.length, "came");
    checkGroup({ clients: advertisements.map(({ client }) => client), threshold: this.threshold });
    this.group = [...advertisements].sort((a, b) => a.client - b.client);
    return this.group;
  }

  /** For each client that shared, what the others have for it. */
  route(shares: readonly SealedShares[]): ReadonlyMap<number, readonly SealedShares[]> {
    const known = new Set(this.group.map(({ client }) => client));
    const sent = new Map<number, Set<number>>();
    for (const { from, to } of shares) {
      const peers = sent.get(from) ?? new Set();
      if (!known.has(from) || !known.has(to) || from === to || peers.has(to)) failClosed(`shares from ${from} to ${to} do not belong to the round`);
      sent.set(from, peers.add(to));
    }
    // Who shared with some only is out.
    this.goOnWith([...sent].filter(([, peers]) => peers.size === known.size - 1).map(([from]) => from));
    const routed = new Map<number, SealedShares[]>([...this.sharers].map((to) => [to, []]));
    for (const each of shares) if (this.sharers.has(each.from)) routed.get(each.to)?.push(each);
    return routed;
  }

  /** These clients of the group have shared with all others. */
  goOnWith(sharers: readonly number[]): void {
    this.enough(sharers.length, "shared their secrets");
    this.sharers = new Set(sharers);
  }

  /** Takes the numbers of a client that stays. */
  add({ client, masked }: MaskedInput): void {
    if (!this.sharers.has(client) || masked.length !== this.masked.length) failClosed(`the numbers of client ${client} do not belong to the round`);
    if (this.stayed.has(client)) failClosed("a client sent its numbers twice");
    this.stayed.add(client);
    for (let i = 0; i < masked.length; i++) this.masked[i] = this.masked[i]! + masked[i]!;
  }

  /** Those who stay, once all numbers are there: their sum is what the round gives. */
  survivors(): readonly number[] {
    this.enough(this.stayed.size, "sent their numbers");
    return [...this.stayed].sort((a, b) => a - b);
  }

  /**
   * The sum modulo 2^32 of the survivors' numbers.
   * @throws KingletError `check-failed` where too few revealed what they know, or what they revealed is not true.
   */
  async sum(revelations: readonly Revelation[]): Promise<Uint32Array> {
    const survivors = this.survivors();
    if (new Set(revelations.map(({ client }) => client)).size !== revelations.length) failClosed("a client revealed twice");
    this.enough(revelations.length, "revealed what they know");
    const sum = this.masked.slice();
    for (const client of survivors) {
      addMask(sum, await this.secret(client, revelations, "seedShares"), -1);
      await turn();
    }
    for (const client of this.sharers) if (!this.stayed.has(client)) await this.unmaskPairs(sum, client, revelations);
    return sum;
  }

  private async secret(client: number, revelations: readonly Revelation[], kind: "seedShares" | "keyShares"): Promise<Uint8Array> {
    const shares = revelations.flatMap((each) => each[kind].get(client) ?? []).slice(0, this.threshold);
    this.enough(shares.length, `know a secret of client ${client}`);
    try {
      return await combine(shares);
    } catch (error) {
      throw new KingletError("check-failed", `shares of client ${client} do not fit together: ${error instanceof Error ? error.message : error}`);
    }
  }

  /** The survivors' masks with somebody who dropped out after all shared. */
  private async unmaskPairs(sum: Uint32Array, client: number, revelations: readonly Revelation[]): Promise<void> {
    const key = await this.secret(client, revelations, "keyShares");
    const keys = new Map(this.group.map((each) => [each.client, each.maskKey]));
    if (!belongs(key, keys.get(client)!)) failClosed(`the key that the others shared for client ${client} is not its own`);
    for (const survivor of this.stayed) {
      const seed = sharedKey(key, keys.get(survivor)!, pairPurpose(this.round, survivor, client));
      addMask(sum, seed, client > survivor ? -1 : 1);
      await turn();
    }
  }
}
