import { KingletError } from "../../base/index.ts";
import { Refusal, type RefusalReason } from "../protocol/index.ts";

/** @throws KingletError `interrupted` once a person wants to stop. */
export function checkStop(signal: AbortSignal): void {
  if (signal.aborted) throw new KingletError("interrupted", "the client was stopped");
}

/** Waits, or fails at once with `interrupted`. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  checkStop(signal);
  await new Promise<void>((done, fail) => {
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      done();
    }, ms);
    const stop = (): void => {
      clearTimeout(timer);
      fail(new KingletError("interrupted", "the client was stopped"));
    };
    signal.addEventListener("abort", stop, { once: true });
  });
}

const [FIRST_MS, MOST_MS] = [500, 60_000];

/** How long to wait before trying again: each time twice as long, and by chance less, so that a thousand clients do not come back at once. */
function backOffMs(failures: number): number {
  return Math.min(MOST_MS, FIRST_MS * 2 ** failures) * (0.5 + 0.5 * Math.random());
}

const PASSING: readonly RefusalReason[] = ["internal", "unavailable", "rate-limited"];

/** Whether the same message may succeed later: nobody answered, or the coordinator says so. */
function isPassing(error: unknown): boolean {
  if (error instanceof Refusal) return PASSING.includes(error.reason);
  return !(error instanceof KingletError);
}

/** `fetch` itself says no more than that it failed; of an address with several numbers Node gives only a code. */
function reasonOf(error: unknown): string {
  const { message, code } = ((error as Error).cause ?? error) as NodeJS.ErrnoException;
  return message || code || "nobody answers";
}

/** Tries until it succeeds, is refused for good, or a person wants to stop. @param onTrouble told before each wait. */
export async function patiently<T>(work: () => Promise<T>, signal: AbortSignal, onTrouble: (why: string, waitMs: number) => void): Promise<T> {
  for (let failures = 0; ; failures++) {
    checkStop(signal);
    try {
      return await work();
    } catch (error) {
      checkStop(signal);
      if (!isPassing(error)) throw error;
      const waitMs = backOffMs(failures);
      onTrouble(reasonOf(error), waitMs);
      await pause(waitMs, signal);
    }
  }
}
