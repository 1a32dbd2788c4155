/**
 * Weights for two taps (u, v) in one 16-bit lane L = 256u + v, which takes one sign extension for four taps: with
 * inputs (x0, x1), L·x0 + v·(256·x1 + 127 − x0) = 256·(u·x0 + v·x1) + 127·v. Sums are then 256 times what they
 * stand for, and 127·Σv goes into the bias. Undefined where a lane does not fit (u = −128 with v < 0).
 * Order: [channel / block][tap / 4][channel % block][lane low, lane high]; short groups of taps and a short block of
 * channels are filled up with zeros.
 */
export function packLanes(rows: Int8Array, channels: number, depth: number, block: number): Int8Array | undefined {
  const words = Math.ceil(depth / 4);
  const packed = new Int8Array(Math.ceil(channels / block) * block * words * 4);
  const view = new DataView(packed.buffer);
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < words * 4; i += 2) {
      const tap = (at: number): number => (at < depth ? rows[c * depth + at]! : 0);
      const lane = 256 * tap(i) + tap(i + 1);
      if (lane < -32768) return undefined;
      const word = (Math.floor(c / block) * words + (i >> 2)) * block + (c % block);
      view.setInt16(4 * word + (i & 2), lane, true);
    }
  }
  return packed;
}

/** The bias of a channel in such a kernel: 256 times itself, less what the second taps add. */
export function pairBias(bias: number, taps: Int8Array): number {
  return 256 * bias - 127 * taps.reduce((sum, w, i) => (i % 2 === 1 ? sum + w : sum), 0);
}
