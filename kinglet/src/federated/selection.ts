import { randomAt, shuffle, unit } from "../data/browser.ts";

/** Sets the stream of the choice apart from others of the same seed. */
const SELECTION = 0x73656c;

/** As many clients as their share is, at least one, drawn without replacement. */
export function selectClients(clients: number, share: number, seed: number, round: number): number[] {
  const order = Array.from({ length: clients }, (_, i) => i);
  return shuffle(order, randomAt(SELECTION, seed, round))
    .slice(0, Math.max(1, Math.round(share * clients)))
    .sort((a, b) => a - b);
}

/**
 * Each client by itself with probability `share`, so that a round has `share` · `clients` on average and sometimes none: the drawing that
 * the accountant's sampled Gaussian mechanism is about.
 */
export function drawClients(clients: number, share: number, seed: number, round: number): number[] {
  const random = randomAt(SELECTION, seed, round);
  return Array.from({ length: clients }, (_, i) => i).filter(() => unit(random) < share);
}
