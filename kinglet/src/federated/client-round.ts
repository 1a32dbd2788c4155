import { type Compressed, type Compression, compress } from "./compression.ts";
import type { LocalTraining } from "./local.ts";
import type { ClientUpdate } from "./update.ts";

/** What a client keeps from round to round. */
export interface ClientMemory {
  /** What did not travel of its updates (top-k). */
  readonly rest?: Float32Array;
  /** Its control variate (SCAFFOLD); none is 0. */
  readonly control?: Float32Array;
}

/** What its gradients are corrected by: the common control variate less its own. */
export function correctionOf(common: Float32Array | undefined, { control }: ClientMemory, length: number): Float32Array {
  const difference = common?.slice() ?? new Float32Array(length);
  if (control !== undefined) for (let i = 0; i < length; i++) difference[i]! -= control[i]!;
  return difference;
}

/** The rate of clients that begin with this version. */
export function rateAt({ rate, rateDecay = 1 }: Pick<LocalTraining, "rate" | "rateDecay">, version: number): number {
  // The last bit of a power is the engine's choice, and all clients take the same steps.
  let now = rate;
  for (let i = 0; i < version; i++) now *= rateDecay;
  return now;
}

/** How a client sends what it learned. */
export interface Sending {
  readonly compression: Compression;
  /** Of its local steps. */
  readonly rate: number;
  /** The place of the rounding's random stream, beside the round. */
  readonly seed: number;
  readonly round: number;
  /** SCAFFOLD only. */
  readonly correction?: Float32Array;
}

/** What a client sends, and keeps once that has arrived. */
export interface SentUpdate {
  readonly sent: Compressed;
  /** How far its control variate moved. */
  readonly control?: Float32Array;
  readonly memory: ClientMemory;
}

/** Sets the rounding's random stream apart from those of order and augmentation. */
const ROUNDING = 0x726f75;

/** Option II of SCAFFOLD's paper: c′ = c_i − c + (x − y) / (K·η); the client keeps it, its change travels. */
function movedControl({ delta, steps }: Pick<ClientUpdate, "delta" | "steps">, rate: number, correction: Float32Array): Float32Array {
  const reach = steps * rate;
  return correction.map((c, i) => -c - delta[i]! / reach);
}

/** The client's side of a round, once it has trained. @throws KingletError what `compress` throws. */
export function sentUpdate(learned: Pick<ClientUpdate, "delta" | "steps">, memory: ClientMemory, how: Sending): SentUpdate {
  const { compression, rate, seed, round, correction } = how;
  const { rest } = memory;
  const wanted = rest === undefined ? learned.delta : learned.delta.map((x, i) => x + rest[i]!);
  const sent = compress(wanted, compression, [ROUNDING, seed, round]);
  const kept = compression.kind === "topK" ? { rest: sent.rest } : {};
  if (correction === undefined) return { sent, memory: kept };
  const own = movedControl(learned, rate, correction);
  return { sent, control: own.map((x, i) => x - (memory.control?.[i] ?? 0)), memory: { ...kept, control: own } };
}
