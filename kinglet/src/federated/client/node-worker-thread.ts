// The worker of a Node client.
import { parentPort } from "node:worker_threads";
import { openSamples, type NodeSamples } from "./node-samples.ts";
import { type ToWorker, trainingWorker } from "./training-worker.ts";

const hear = trainingWorker<NodeSamples>(openSamples, (message) => parentPort!.postMessage(message));
parentPort!.on("message", (message: ToWorker<NodeSamples>) => void hear(message));
