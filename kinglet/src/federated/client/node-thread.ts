import { Worker } from "node:worker_threads";
import type { NodeSamples } from "./node-samples.ts";
import type { FromWorker } from "./training-worker.ts";
import type { WorkerThread } from "./worker-learner.ts";

/** Starts a worker that trains. */
export function startThread(): WorkerThread<NodeSamples> {
  const worker = new Worker(new URL("./node-worker.js", import.meta.url), { execArgv: [] });
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
