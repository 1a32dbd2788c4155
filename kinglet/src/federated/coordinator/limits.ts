import { isIPv6 } from "node:net";

/** How often somebody may come: `burst` times at once, and `perSecond` times a second in the long run. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** What a server bears. */
export interface Limits {
  /** Messages of a client. */
  readonly client: Rate;
  /** Messages from an address, whoever sends them. */
  readonly address: Rate;
  /** For a whole request, however slowly it comes. */
  readonly requestSeconds: number;
  /** For a connection on which nothing moves: whoever does not read its answers keeps them in memory. Longer than a task is waited for. */
  readonly quietSeconds: number;
  /** For a socket's first message. */
  readonly helloSeconds: number;
  readonly connections: number;
  /** Of these those of one network: the others are for everybody else. */
  readonly networkConnections: number;
  /** And of these those on which nobody has shown yet who that is. */
  readonly strangerConnections: number;
}

export const DEFAULT_LIMITS: Limits = {
  client: { perSecond: 5, burst: 50 },
  address: { perSecond: 100, burst: 1000 },
  requestSeconds: 120,
  quietSeconds: 150,
  helloSeconds: 5,
  connections: 20_000,
  networkConnections: 5000,
  strangerConnections: 200,
};

/** Whoever has one IPv6 address has 2^64 of them, so those with the same first half are one; IPv4 in IPv6 is IPv4. */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return mapped[1]!;
  const [head, tail] = address.split("::").map((half) => half.split(":").filter((word) => word !== ""));
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - head!.length - tail.length }, () => "0");
  const words = [...head!, ...zeros, ...(tail ?? [])].slice(0, 4);
  return `${words.map((word) => Number.parseInt(word, 16).toString(16)).join(":")}::/64`;
}

/** Keys beyond this are forgotten, those who have waited longest first. */
const MOST_KEYS = 50_000;

/** Counts how often each key comes: a bucket that fills with time and that each message takes one from. */
export class RateLimiter {
  private readonly rate: Rate;
  private readonly now: () => number;
  private readonly buckets = new Map<string, { left: number; at: number }>();

  constructor(rate: Rate, now: () => number) {
    this.rate = rate;
    this.now = now;
  }

  /** Whether one more may come. */
  take(key: string): boolean {
    const { perSecond, burst } = this.rate;
    const now = this.now();
    const before = this.buckets.get(key) ?? { left: burst, at: now };
    const left = Math.min(burst, before.left + (Math.max(0, now - before.at) / 1000) * perSecond);
    // Set anew, the key is the last in the map's order.
    this.buckets.delete(key);
    if (this.buckets.size >= MOST_KEYS) this.buckets.delete(this.buckets.keys().next().value!);
    this.buckets.set(key, { left: left >= 1 ? left - 1 : left, at: now });
    return left >= 1;
  }
}
