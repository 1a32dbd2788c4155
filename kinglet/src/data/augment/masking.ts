import type { Augment } from "./augment.ts";

/** Masks of SpecAugment (Park et al. 2019) on features `[time, frequency]` or `[time, frequency, 1]`. */
export interface MaskOptions {
  /** Widest mask, in frames or bands; the width is drawn from 0 to it. */
  readonly most: number;
  /** Default 1. */
  readonly count?: number;
  /** What masked values become. Default 0. */
  readonly value?: number;
}

function span(size: number, most: number, random: { int(low: number, high: number): number }): readonly [from: number, to: number] {
  const width = random.int(0, Math.min(most, size));
  const from = random.int(0, size - width);
  return [from, from + width];
}

/** Blanks spans of frames. */
export function timeMask({ most, count = 1, value = 0 }: MaskOptions): Augment {
  return (sample, shape, random) => {
    const out = sample.slice();
    const frame = sample.length / shape[0]!;
    for (let k = 0; k < count; k++) {
      const [from, to] = span(shape[0]!, most, random);
      out.fill(value, from * frame, to * frame);
    }
    return out;
  };
}

/** Blanks spans of bands, in every frame. */
export function frequencyMask({ most, count = 1, value = 0 }: MaskOptions): Augment {
  return (sample, shape, random) => {
    const out = sample.slice();
    const [frames, bands] = [shape[0]!, shape[1]!];
    const depth = sample.length / frames / bands;
    for (let k = 0; k < count; k++) {
      const [from, to] = span(bands, most, random);
      for (let t = 0; t < frames; t++) out.fill(value, (t * bands + from) * depth, (t * bands + to) * depth);
    }
    return out;
  };
}
