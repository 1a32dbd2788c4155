import { crc32, elementCount } from "../../base/index.ts";
import type { TrainingStep } from "../../train/browser.ts";

/** What is learned of a network as one vector: its length, and what tells it from another network's. */
export interface ParameterLayout {
  readonly length: number;
  readonly fingerprint: number;
}

/** By the names and shapes of what a step learns, in order. */
export function layoutOf({ trained }: Pick<TrainingStep, "trained">): ParameterLayout {
  const text = trained.map(({ variable: { name, value } }) => `${name} ${value.shape.join("x")}\n`).join("");
  const length = trained.reduce((sum, { constant }) => sum + elementCount(constant.shape), 0);
  return { length, fingerprint: crc32(new TextEncoder().encode(text)) };
}
