import { KingletError } from "../../base/index.ts";

/** A worker of this engine, a page's or Node's. */
export interface ThreadWorker {
  post(message: unknown): void;
  /** Resolves with its first message; fails where it ends before. */
  readonly ready: Promise<unknown>;
  /** Why it is not there any more, as far as this thread has had a turn to hear of it. */
  lost(): string | undefined;
  close(): void;
}

/** What both kinds of workers tell. */
class Fate {
  private reason: string | undefined;
  private settle: { done: (message: unknown) => void; fail: (error: Error) => void } | undefined;
  readonly ready: Promise<unknown>;

  constructor() {
    this.ready = new Promise((done, fail) => {
      this.settle = { done, fail };
    });
  }

  hear(message: unknown): void {
    this.settle?.done(message);
  }

  end(why: string): void {
    this.reason ??= why;
    this.settle?.fail(new KingletError("unsupported", `a worker did not start: ${why}`, { hint: "Use one thread." }));
  }

  readonly lost = (): string | undefined => this.reason;
}

/** Whether workers can share memory with this thread: a page must be cross-origin isolated for it. */
export function canShareMemory(): boolean {
  return typeof SharedArrayBuffer === "function" && (typeof Worker === "function" || typeof process !== "undefined");
}

/** A page has workers from a script's text by the address of a blob; only those share its memory. */
function startPageWorker(script: string): ThreadWorker {
  const fate = new Fate();
  const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  const worker = new Worker(address, { type: "module" });
  worker.addEventListener("message", ({ data }) => {
    URL.revokeObjectURL(address);
    fate.hear(data);
  });
  worker.addEventListener("error", ({ message }) => fate.end(message || "the page does not allow it"));
  return { ready: fate.ready, lost: fate.lost, post: (message) => worker.postMessage(message), close: () => worker.terminate() };
}

async function startNodeWorker(script: string): Promise<ThreadWorker> {
  const { Worker: NodeWorker } = await import(/* webpackIgnore: true */ /* @vite-ignore */ "node:worker_threads");
  const fate = new Fate();
  const worker = new NodeWorker(new URL(`data:text/javascript,${encodeURIComponent(script)}`), { execArgv: [] });
  worker.on("message", (data) => {
    // From here on it shall not keep the process alive.
    worker.unref();
    fate.hear(data);
  });
  worker.on("error", (error) => fate.end(error instanceof Error ? error.message : String(error)));
  worker.on("exit", (code) => fate.end(`it ended with ${code}`));
  return { ready: fate.ready, lost: fate.lost, post: (message) => worker.postMessage(message), close: () => void worker.terminate() };
}

/** Starts a worker on a module's text, in a page, in a page's worker or in Node; a page's workers are only pretended where they hear nothing. */
export async function startWorker(script: string): Promise<ThreadWorker> {
  return typeof Worker === "function" && "addEventListener" in Worker.prototype ? startPageWorker(script) : await startNodeWorker(script);
}
