/** One multiplication of a row kernel: a word of two inputs meets a word of two weights; the form says which halves meet. */
export interface Product {
  /** Words after the one in which the step's first input lies. */
  readonly input: number;
  readonly weight: number;
  readonly form: "smlad" | "smlabt" | "smlatb";
}

/** How the taps of one filter row lie in words of two, and which words a row kernel multiplies. */
export interface RowTaps {
  /** The tap in the low and in the high half of each word; −1 is a zero. */
  readonly words: readonly (readonly [number, number])[];
  /** The products of an output whose first input is element `from` of the step's inputs. */
  products(from: number): Product[];
}

/** Rows whose outputs all start at an even input: pairs of taps, the last one perhaps with a zero. */
function evenTaps(size: number): RowTaps {
  const words = Array.from({ length: Math.ceil(size / 2) }, (_, i) => [2 * i, 2 * i + 1 < size ? 2 * i + 1 : -1] as const);
  return { words, products: (from) => words.map((_, i) => ({ input: from / 2 + i, weight: i, form: "smlad" })) };
}

/**
 * Rows whose outputs start at even and at odd inputs in turn. Even ones take the taps in pairs from tap 0, odd ones
 * from tap 1; the tap left over at either end is half of a word that the other kind has anyway.
 */
function alternatingTaps(size: number): RowTaps {
  const fromZero = Array.from({ length: Math.max(1, size >> 1) }, (_, i) => [2 * i, 2 * i + 1 < size ? 2 * i + 1 : -1] as const);
  const fromOne = Array.from({ length: (size - 1) >> 1 }, (_, i) => [2 * i + 1, 2 * i + 2] as const);
  const words = [...fromZero, ...fromOne];
  const last = words.length - 1;
  const even = (word: number): Product[] => {
    const pairs = fromZero.map((_, i): Product => ({ input: word + i, weight: i, form: "smlad" }));
    return fromOne.length < fromZero.length ? pairs : [...pairs, { input: word + fromZero.length, weight: last, form: "smlabt" }];
  };
  const odd = (word: number): Product[] => {
    const pairs = fromOne.map((_, i): Product => ({ input: word + 1 + i, weight: fromZero.length + i, form: "smlad" }));
    const first: Product = { input: word, weight: 0, form: "smlatb" };
    return size % 2 === 1 ? [first, ...pairs] : [first, ...pairs, { input: word + size / 2, weight: fromZero.length - 1, form: "smlabt" }];
  };
  return { words, products: (from) => (from % 2 === 0 ? even(from / 2) : odd((from - 1) / 2)) };
}

/** The taps of a filter row of `size` weights moved by `stride` inputs from output to output. */
export function rowTaps(size: number, stride: number): RowTaps {
  return stride % 2 === 0 ? evenTaps(size) : alternatingTaps(size);
}

/** What the kernel reads of each channel, in reading order: the words of `head`, then those of its filter rows. */
export function packTaps(
  weights: Int8Array,
  factor: number,
  head: readonly (readonly number[])[],
  filterH: number,
  filterW: number,
  taps: RowTaps,
): Int32Array {
  const tap = (c: number, ky: number, kx: number): number => (kx < 0 ? 0 : factor * weights[(ky * filterW + kx) * head.length + c]!);
  const rows = (c: number): number[] =>
    Array.from({ length: filterH }, (_, ky) => taps.words.map(([low, high]) => (tap(c, ky, low) & 0xffff) | (tap(c, ky, high) << 16))).flat();
  return Int32Array.from(head.flatMap((words, c) => [...words, ...rows(c)]));
}
