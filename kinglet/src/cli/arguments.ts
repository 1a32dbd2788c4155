import { InvalidArgumentError } from "commander";

/** An option's whole number of at least 1. */
export function positive(text: string): number {
  if (!/^\d+$/.test(text) || Number(text) < 1) throw new InvalidArgumentError("Give a whole number of at least 1.");
  return Number(text);
}
