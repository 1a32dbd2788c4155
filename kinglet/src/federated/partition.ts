import { KingletError } from "../base/index.ts";
import { randomAt, shuffle, unit } from "../data/browser.ts";

/** How samples are spread over simulated clients. */
export type Partition =
  /** At random, equally many each. */
  | { readonly kind: "iid"; readonly clients: number }
  /** Sorted by class and cut into `perClient` pieces for each client (McMahan et al. 2017): most see `perClient` classes. */
  | { readonly kind: "label"; readonly clients: number; readonly perClient: number }
  /** Shares of each class after a symmetric Dirichlet distribution (Hsu et al. 2019); a small α is uneven. */
  | { readonly kind: "dirichlet"; readonly clients: number; readonly alpha: number }
  /** A client for each group of the data set, such as a person. */
  | { readonly kind: "group" };

/** What is known of the samples: positions in the data set, and the class and the group of every position of it. */
export interface Partitioned {
  readonly positions: Int32Array;
  readonly labels: ArrayLike<number>;
  /** Negative where a sample has none. */
  readonly groups: ArrayLike<number>;
}

/** Sets the stream of the partition apart from others of the same seed. */
const PARTITION = 0x70617274;

function pieces(positions: Int32Array, count: number): Int32Array[] {
  return Array.from({ length: count }, (_, k) =>
    positions.slice(Math.floor((k * positions.length) / count), Math.floor(((k + 1) * positions.length) / count)),
  );
}

function joined(parts: readonly Int32Array[]): Int32Array {
  return Int32Array.from(parts.flatMap((part) => [...part]));
}

function byLabel({ positions, labels }: Partitioned, clients: number, perClient: number, seed: number): Int32Array[] {
  const sorted = shuffle(positions.slice(), randomAt(PARTITION, seed, 1)).sort((a, b) => labels[a]! - labels[b]!);
  const shards = pieces(sorted, clients * perClient);
  const order = shuffle(
    Array.from({ length: shards.length }, (_, i) => i),
    randomAt(PARTITION, seed, 2),
  );
  return Array.from({ length: clients }, (_, k) => joined(order.slice(k * perClient, (k + 1) * perClient).map((i) => shards[i]!)));
}

/** A number after Gamma(α, 1) (Marsaglia & Tsang 2000); for α below 1 by the power of a uniform number. */
function gamma(alpha: number, random: ReturnType<typeof randomAt>): number {
  if (alpha < 1) return gamma(alpha + 1, random) * (1 - unit(random)) ** (1 / alpha);
  const d = alpha - 1 / 3;
  for (;;) {
    const radius = Math.sqrt(-2 * Math.log(1 - unit(random)));
    const x = radius * Math.cos(2 * Math.PI * unit(random));
    const v = (1 + x / Math.sqrt(9 * d)) ** 3;
    if (v > 0 && Math.log(1 - unit(random)) < 0.5 * x * x + d * (1 - v + Math.log(v))) return d * v;
  }
}

function dirichlet({ positions, labels }: Partitioned, clients: number, alpha: number, seed: number): Int32Array[] {
  const classes = [...new Set(Array.from(positions, (position) => labels[position]!))].sort((a, b) => a - b);
  const parts: number[][] = Array.from({ length: clients }, () => []);
  for (const label of classes) {
    const random = randomAt(PARTITION, seed, 3, label);
    const samples = shuffle(
      positions.filter((position) => labels[position] === label),
      random,
    );
    const shares = Array.from({ length: clients }, () => gamma(alpha, random));
    const total = shares.reduce((sum, share) => sum + share, 0);
    let [sum, from] = [0, 0];
    shares.forEach((share, k) => {
      sum += share;
      const to = k === clients - 1 ? samples.length : Math.round((sum / total) * samples.length);
      parts[k]!.push(...samples.subarray(from, to));
      from = to;
    });
  }
  return parts.map((part) => Int32Array.from(part));
}

function byGroup({ positions, groups }: Partitioned): Int32Array[] {
  if (positions.some((position) => groups[position]! < 0))
    throw new KingletError("misuse", "the data set has samples without a group, so nobody knows whose they are", {
      hint: "Import it with --group, or spread samples another way: iid, label:N, dirichlet:ALPHA.",
    });
  const found = [...new Set(Array.from(positions, (position) => groups[position]!))].sort((a, b) => a - b);
  return found.map((group) => positions.filter((position) => groups[position] === group));
}

/**
 * The positions that each client holds; clients without a sample are left out.
 * @throws KingletError `misuse` for numbers that cannot be, groups that are not known, or where there are more pieces than samples.
 */
export function partition(samples: Partitioned, how: Partition, seed = 1): Int32Array[] {
  if (how.kind !== "group") {
    const count = how.clients * (how.kind === "label" ? how.perClient : 1);
    if (!Number.isInteger(count) || count < 1) throw new KingletError("misuse", `${count} clients cannot be simulated`);
    if (count > samples.positions.length)
      throw new KingletError("misuse", `${samples.positions.length} samples cannot be spread over ${count} parts`, {
        hint: "Simulate fewer clients.",
      });
  }
  const parts = (): Int32Array[] => {
    switch (how.kind) {
      case "iid":
        return pieces(shuffle(samples.positions.slice(), randomAt(PARTITION, seed, 0)), how.clients);
      case "label":
        return byLabel(samples, how.clients, how.perClient, seed);
      case "dirichlet":
        if (!(how.alpha > 0)) throw new KingletError("misuse", `a Dirichlet distribution's α is above 0, not ${how.alpha}`);
        return dirichlet(samples, how.clients, how.alpha, seed);
      case "group":
        return byGroup(samples);
      default:
        return how satisfies never;
    }
  };
  return parts().filter(({ length }) => length > 0);
}
