/**
 * Marsaglia's xorshift32 (13, 17, 5): the one random stream that every back end and the firmware share.
 * The state must not be 0.
 */
export class Xorshift32 {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0 || 1;
  }

  /** The next 32 bits, unsigned. */
  next(): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x >>> 0;
    return this.state;
  }

  /** A float in [-1, 1) with 24 bits. */
  float(): number {
    return (this.next() >>> 8) * 2 ** -23 - 1;
  }

  /** An integer in [low, high]. */
  int(low: number, high: number): number {
    return low + (this.next() % (high - low + 1));
  }
}
