import { setImmediate } from "node:timers/promises";
import { KingletError } from "../../base/index.ts";
import type { OnStep } from "../local.ts";

/** Time in which nobody else gets a turn. */
const TURN_MS = 50;

/** Between steps timers, sockets and signals are heard; training itself never waits for anything. */
export function turns(signal: AbortSignal): OnStep {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < TURN_MS) return;
    await setImmediate();
    last = performance.now();
    if (signal.aborted) throw new KingletError("interrupted", "the work was stopped");
  };
}
