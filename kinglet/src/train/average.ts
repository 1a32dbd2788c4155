import { KingletError } from "../base/index.ts";

/** @throws KingletError `misuse` for a share that makes no sense. */
export function checkAverage(decay: number): void {
  if (!(decay >= 0 && decay < 1)) throw new KingletError("misuse", `the average keeps ${decay}; it is a share from 0 to below 1`);
}

/** A moving average of what a training changes. */
export class WeightAverage {
  /** The averages, by name. */
  readonly weights: ReadonlyMap<string, Float32Array>;
  private readonly decay: number;

  /** @throws what `checkAverage` throws. */
  constructor(decay: number, initial: ReadonlyMap<string, Float32Array>) {
    checkAverage(decay);
    this.decay = decay;
    this.weights = new Map([...initial].map(([name, data]) => [name, data.slice()]));
  }

  /** Moves on after step `n`, counted from 1. */
  add(n: number, now: (name: string) => Float32Array): void {
    const decay = Math.min(this.decay, (1 + n) / (10 + n));
    for (const [name, average] of this.weights) {
      const weights = now(name);
      for (let i = 0; i < average.length; i++) average[i] = decay * average[i]! + (1 - decay) * weights[i]!;
    }
  }
}
