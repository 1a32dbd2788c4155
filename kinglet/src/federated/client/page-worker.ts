// The worker of a page that joined a federation.
import { datasetFromArrays, type SamplesInMemory } from "../../data/browser.ts";
import { type ToWorker, trainingWorker } from "./training-worker.ts";

const hear = trainingWorker<SamplesInMemory>(datasetFromArrays, (message) => self.postMessage(message));
self.onmessage = ({ data }: MessageEvent<ToWorker<SamplesInMemory>>) => void hear(data);
