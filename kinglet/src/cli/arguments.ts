import { InvalidArgumentError } from "commander";

/** An option's whole number of at least 1. */
export function positive(text: string): number {
  if (!/^\d+$/.test(text) || Number(text) < 1) throw new InvalidArgumentError("Give a whole number of at least 1.");
  return Number(text);
}

/** An option's whole number from `least` to `most`. */
export function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    if (!/^\d{1,10}$/.test(text) || Number(text) < least || Number(text) > most)
      throw new InvalidArgumentError(`Give a whole number from ${least} to ${most}.`);
    return Number(text);
  };
}

/** An option's number above 0 and at most `most`. */
export function above0(most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!(value > 0 && value <= most)) throw new InvalidArgumentError(`Give a number above 0, at most ${most}.`);
    return value;
  };
}

/** "32768", or "32k" and "1M" in kibibytes and mebibytes. */
export function memorySize(text: string): number {
  const match = /^(\d+)([kKmM]?)$/.exec(text);
  if (match === null) throw new InvalidArgumentError("Give a whole number of bytes, or of kibibytes as in 32k.");
  return Number(match[1]) * (match[2] === "" ? 1 : match[2]!.toLowerCase() === "m" ? 1024 * 1024 : 1024);
}
