import { PREFIX } from "../redis.ts";

/** A hash of all runs at this Redis: on which samples each is. */
export const RUNS = `${PREFIX}:runs`;

/** A run's key says what all of its jobs have in common; with a name behind it, one thing of the run. */
export function runKey(run: string, name?: string): string {
  return `${PREFIX}:run:${run}${name === undefined ? "" : `:${name}`}`;
}

/** What lies in Redis is forgotten after so long, unless its owner is there and says otherwise. */
export const FORGOTTEN_MS = 3_600_000;
