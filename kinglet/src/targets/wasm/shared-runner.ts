import { KingletError } from "../../base/index.ts";
import { MAY_SLEEP, MOST_THREADS, type Placement, printWasm, type Program, type ProgramRunner, wasmLayout } from "../../loops/index.ts";
import { entryOf, runnerOver } from "./runner.ts";
import { workerText } from "./threads.ts";
import { startWorker, type ThreadWorker } from "./workers.ts";

/** A runner whose steps several threads share: the caller is the first of them. */
export interface SharedRunner extends ProgramRunner {
  /** Ends its workers; it cannot run any more. */
  close(): void;
}

/** The words of the control block beside those of the barrier: turns so far, then which steps this turn runs. */
const [TURN, FIRST, END] = [1, 2, 3] as const;

/** A worker runs the steps of a turn; the words change only once all threads are through. */
const SCRIPT = workerText(`const [first, end] = [words[${FIRST}], words[${END}]];
    for (let k = first; k < end; k++) exports["step" + k](part, parts);
    exports.meet(part, parts);`);

/** One after another they start: each instance fills the same memory with the same tables. */
async function startWorkers(
  count: number,
  about: { readonly module: WebAssembly.Module; readonly memory: WebAssembly.Memory; readonly control: number },
): Promise<ThreadWorker[]> {
  const workers: ThreadWorker[] = [];
  try {
    for (let part = 1; part < count; part++) {
      const worker = await startWorker(SCRIPT);
      workers.push(worker);
      worker.post({ ...about, part, parts: count });
      await worker.ready;
    }
    return workers;
  } catch (error) {
    for (const worker of workers) worker.close();
    throw error;
  }
}

function lostThread(why: string): KingletError {
  return new KingletError("internal", `a thread that computes a share of every step is gone: ${why}`, {
    hint: "Start again, with one thread if it happens again.",
  });
}

/**
 * Runs a program on several threads of this process or page, as `createWasmRunner` does on one: the same numbers, bit for bit. No
 * output may overlap an input of its step in `placement`.
 * @throws KingletError `misuse` for a number of threads that cannot be, `unsupported` where workers do not start; what a run throws
 * is `internal` once a worker is gone.
 */
export async function createSharedRunner(program: Program, placement: Placement, threads: number): Promise<SharedRunner> {
  if (!Number.isInteger(threads) || threads < 1 || threads > MOST_THREADS)
    throw new KingletError("misuse", `the number of threads is ${threads}; it is a whole number from 1 to ${MOST_THREADS}`);
  const { buffers, control, pagesForThreads: pages } = wasmLayout(program, placement);
  const module = await WebAssembly.compile(printWasm(program, placement, { probe: true, threads: true }) as BufferSource);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const instance = await WebAssembly.instantiate(module, { env: { memory } });
  const workers = await startWorkers(threads, { module, memory, control });
  const words = new Int32Array(memory.buffer, control, 5);
  words[MAY_SLEEP] = typeof document === "undefined" ? 1 : 0;
  const steps = program.steps.map((_, k) => entryOf<(part: number, parts: number) => void>(instance, `step${k}`));
  const meet = entryOf<(part: number, parts: number) => void>(instance, "meet");
  const reset = entryOf<() => void>(instance, "init");
  reset();
  let closed: string | undefined;
  const close = (why: string): void => {
    closed ??= why;
    for (const worker of workers) worker.close();
  };
  const runSteps = (first: number, end: number): void => {
    const lost = closed ?? workers.map((worker) => worker.lost()).find((why) => why !== undefined);
    if (lost !== undefined) {
      close(lost);
      throw lostThread(lost);
    }
    [words[FIRST], words[END]] = [first, end];
    Atomics.add(words, TURN, 1);
    Atomics.notify(words, TURN);
    try {
      for (let k = first; k < end; k++) steps[k]!(0, threads);
      meet(0, threads);
    } catch (error) {
      // Waiting for a thread that does not come ends in a trap.
      close("it did not come to the end of its share");
      throw error instanceof WebAssembly.RuntimeError ? lostThread(closed!) : error;
    }
  };
  const entries = { reset, runSteps, run: () => runSteps(0, steps.length) };
  return { ...runnerOver(program, buffers, memory, entries), close: () => close("it was closed") };
}
