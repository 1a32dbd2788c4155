export { packClients, QueuedClients } from "./client-jobs.ts";
export { JobQueue, type JobQueueOptions } from "./job-queue.ts";
export { type SamplesId, samplesId } from "./samples.ts";
export { packTask, type SimulationPlan, type SimulationTask, simulateTask } from "./task.ts";
export { work, type WorkEvent, type WorkOptions } from "./worker.ts";
