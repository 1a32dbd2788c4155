import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import type { NodeSamples } from "./node-samples.ts";
import type { FromWorker } from "./training-worker.ts";
import type { WorkerThread } from "./worker-learner.ts";

/** Threads load TypeScript by themselves only where this one was started so; the text teaches it to any. */
function script(): string {
  const loader = createRequire(import.meta.url).resolve("tsx/esm/api");
  const worker = new URL("./node-worker.ts", import.meta.url).href;
  return `require(${JSON.stringify(loader)}).register(); import(${JSON.stringify(worker)});`;
}

/** Starts a worker that trains. */
export function startThread(): WorkerThread<NodeSamples> {
  const worker = new Worker(script(), { eval: true, execArgv: [] });
  return {
    post: (message) => worker.postMessage(message),
    listen: (hear, lost) => {
      worker.removeAllListeners();
      worker.on("message", (message: FromWorker) => hear(message));
      worker.on("error", (error) => lost(error instanceof Error ? error.message : String(error)));
      worker.on("exit", (code) => lost(`it ended with ${code}`));
    },
    close: () => worker.terminate(),
  };
}
