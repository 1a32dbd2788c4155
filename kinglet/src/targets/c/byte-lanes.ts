/**
 * Weights of four channels as bytes of one word, each raised by 128: P = u0 + 2^8·u1 + 2^16·u2 + 2^24·u3. A group of taps is
 * summed in two words,
 *
 *   E = Σ x · (P & 0x00ff00ff) = s0 + 2^16·s2,    C = Σ x · (P >> 8) = s1 + 2^8·s2 + 2^16·s3,
 *
 * up to what the raise adds: 0x00800080 and 0x00808080 times Σ x, which all channels share and sums start below by. Once E
 * has given s2, C is worth s1 + 2^16·s3. All of this is modulo 2^32; what counts is that the true sums fit into 16 bits.
 */
export const LANES = 4;
export const EVEN_LANES = 0x00ff00ff;
export const EVEN_RAISE = 0x00800080;
export const SHIFTED_RAISE = 0x00808080;

/** Sums of a group start from this, so that a low half is never negative and the high half needs no carry. */
export const HALF = 2 ** 15;

/** Of a channel's group: 128 times this is less than `HALF`. */
const MOST = 255;

/** What a weight of some tap has beyond its lanes' share. */
export interface Excess {
  readonly tap: number;
  readonly weight: number;
}

export interface LanedWeights {
  /** Rows of weights whose groups fit. */
  readonly rows: Int8Array;
  /** What was taken from each row. */
  readonly excess: readonly (readonly Excess[])[];
}

/** Takes from the largest weights of every group what makes its sums leave 16 bits. */
export function limitGroups(rows: Int8Array, channels: number, taps: number, group: number): LanedWeights {
  const limited = rows.slice();
  const excess = Array.from({ length: channels }, (_, c) => {
    const found: Excess[] = [];
    for (let first = 0; first < taps; first += group) {
      const weights = limited.subarray(c * taps + first, c * taps + Math.min(taps, first + group));
      let over = weights.reduce((sum, w) => sum + Math.abs(w), 0) - MOST;
      while (over > 0) {
        const at = weights.reduce((best, w, i) => (Math.abs(w) > Math.abs(weights[best]!) ? i : best), 0);
        const taken = Math.min(over, Math.abs(weights[at]!)) * Math.sign(weights[at]!);
        found.push({ tap: first + at, weight: taken });
        weights[at] = weights[at]! - taken;
        over -= Math.abs(taken);
      }
    }
    return found;
  });
  return { rows: limited, excess };
}

/** Rows as words of four channels: [block][tap][word of the block]. */
export function packByteLanes(rows: Int8Array, channels: number, taps: number, words: number): Int32Array {
  const packed = new Int32Array((channels * taps) / LANES);
  for (let c = 0; c < channels; c++) {
    const block = Math.floor(c / (LANES * words)) * words * taps;
    const word = Math.floor(c / LANES) % words;
    for (let i = 0; i < taps; i++) packed[block + i * words + word]! |= (rows[c * taps + i]! + 128) << (8 * (c % LANES));
  }
  return packed;
}

/** Rows as words of two channels, u0 + 2^16·u1: [block][tap][word of the block]. Twice the bytes, and nothing to mask. */
export function packHalfLanes(rows: Int8Array, channels: number, taps: number, words: number): Int32Array {
  const packed = new Int32Array((channels * taps) / 2);
  for (let c = 0; c < channels; c++) {
    const block = Math.floor(c / (2 * words)) * words * taps;
    const word = Math.floor(c / 2) % words;
    for (let i = 0; i < taps; i++) packed[block + i * words + word]! += rows[c * taps + i]! * (c % 2 === 0 ? 1 : 2 ** 16);
  }
  return packed;
}
