import { KingletError } from "../base/index.ts";
import {
  DEFAULT_SECURE_RULES,
  type Revelation,
  type SealedShares,
  SecureClient,
  SecureCoordinator,
  type SecureRules,
  thresholdOf,
  weightedMeanOfSum,
  weightedNumbers,
} from "./secure/index.ts";
import type { ClientUpdate } from "./update.ts";

/** How a simulation adds updates up so that its coordinator sees nothing but their sum. */
export interface SecureAggregation extends Partial<Pick<SecureRules, "threshold" | "clip">> {
  /** Probability of a client to drop out of a round, before any of its last three messages alike. Default 0. */
  readonly dropOut?: number;
}

/** What a round of secure aggregation gave and took. */
export interface SecureMean {
  /** The mean weighted by samples; undefined where too few stayed, and the round was given up with nothing revealed. */
  readonly delta: Float32Array | undefined;
  /** Clients whose updates are in the mean. */
  readonly survivors: number;
  /** What clients sent: keys, shares, masked numbers, revealed shares. */
  readonly bytes: number;
  readonly seconds: number;
}

/** What clients send after their keys; who drops out does so before one of these. */
const MESSAGES = ["shares", "numbers", "revelation"] as const;
type Message = (typeof MESSAGES)[number];

interface RoundAbout {
  readonly round: number;
  /** The most samples that a client may have: weights are shares of it. */
  readonly mostSamples: number;
  /** Numbers from 0 to 1 that say who drops out. */
  readonly random: () => number;
}

interface Player {
  readonly secure: SecureClient;
  readonly numbers: () => Uint32Array;
  readonly leavesBefore: Message | undefined;
}

function leaving(probability: number, random: () => number): Message | undefined {
  return random() < probability ? MESSAGES[Math.floor(random() * MESSAGES.length)] : undefined;
}

function bytesOfRevelation({ seedShares, keyShares }: Revelation): number {
  return [...seedShares.values(), ...keyShares.values()].reduce((sum, share) => sum + share.length, 0);
}

/** One round of the protocol. `sent` is told the bytes of each message of a client. */
async function play(
  players: readonly Player[],
  coordinator: SecureCoordinator,
  threshold: number,
  sent: (bytes: number) => void,
): Promise<{ sum: Uint32Array; survivors: number }> {
  const still = (message: Message): Player[] =>
    players.filter(({ leavesBefore }) => leavesBefore === undefined || MESSAGES.indexOf(leavesBefore) > MESSAGES.indexOf(message));
  const keys = players.map(({ secure }) => secure.advertise());
  for (const { channelKey, maskKey } of keys) sent(channelKey.length + maskKey.length);
  const group = coordinator.gather(keys);
  const shares: SealedShares[] = [];
  for (const { secure } of still("shares")) shares.push(...(await secure.share(group, threshold)));
  for (const { sealed } of shares) sent(sealed.length);
  const routed = coordinator.route(shares);
  for (const { secure, numbers } of still("numbers")) {
    const input = secure.mask(numbers(), routed.get(secure.client)!);
    sent(input.masked.byteLength);
    coordinator.add(input);
  }
  const survivors = coordinator.survivors();
  const revelations = still("revelation").map(({ secure }) => secure.reveal(survivors));
  for (const each of revelations) sent(bytesOfRevelation(each));
  return { sum: await coordinator.sum(revelations), survivors: survivors.length };
}

/**
 * The weighted mean of a round's updates by Bonawitz et al.'s protocol, every client and the coordinator played here. It differs from the
 * plain mean by at most half a fixed-point step over the mean weight.
 * @throws KingletError `misuse` for fewer than 2 or more than 255 clients, or more samples than 32 bits can count.
 */
export async function secureMean(
  updates: readonly ClientUpdate[],
  { dropOut = 0, ...given }: SecureAggregation,
  about: RoundAbout,
): Promise<SecureMean> {
  const { round, mostSamples, random } = about;
  const count = updates.length;
  const start = performance.now();
  const rules = { ...DEFAULT_SECURE_RULES, mostSamples, ...given };
  const threshold = thresholdOf(rules, count);
  const coordinator = new SecureCoordinator(round, threshold, updates[0]!.delta.length + 1);
  const players = updates.map((update) => ({
    secure: new SecureClient(update.client, round),
    numbers: () => weightedNumbers(update, rules, count),
    leavesBefore: leaving(dropOut, random),
  }));
  let bytes = 0;
  const ended = (delta: Float32Array | undefined, survivors: number): SecureMean => ({
    delta,
    survivors,
    bytes,
    seconds: (performance.now() - start) / 1000,
  });
  try {
    const { sum, survivors } = await play(players, coordinator, threshold, (more) => (bytes += more));
    return ended(weightedMeanOfSum(sum, rules, { survivors, count }), survivors);
  } catch (error) {
    if (error instanceof KingletError && error.code === "check-failed") return ended(undefined, 0);
    throw error;
  }
}
