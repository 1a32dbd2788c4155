import type { Command } from "commander";
import { openDataset } from "../data/index.ts";
import { type JobQueueOptions, type SamplesId, shownAddress, work, type WorkEvent } from "../federated/index.ts";
import { dataFolder } from "./federate-join.ts";
import { count, plain, plural } from "./format.ts";
import { answer, type CommonOptions, type Io } from "./io.ts";
import { projectName } from "./project-files.ts";

/** What a run that gives work away tells, and what ends it. */
export function queueHooks(url: string, io: Io, signal: AbortSignal): JobQueueOptions {
  const onNoWorker = (): void =>
    io.err(`waiting for workers, since none is there; on any machine with the same data: kinglet federate work ${shownAddress(url)} --data DIR\n`);
  return { onNoWorker, signal };
}

interface WorkCliOptions extends CommonOptions {
  readonly data?: string;
}

const shown = ({ name, digest, samples }: SamplesId): string => `"${plain(name)}" (${count(samples)} samples, SHA-256 ${digest.slice(0, 16)}…)`;

/** One line for what a person wants to see; of jobs every so often. */
function eventText(event: WorkEvent, own: string): string | null {
  switch (event.event) {
    case "ready":
      return `waiting for work on ${shown(event.samples)}; Ctrl-C ends`;
    case "refused":
      return `run ${event.run} is refused: it is on other samples, ${shown(event.samples)}, than ${own} has`;
    case "worked":
      return event.kind === "simulation" ? `a simulation took ${event.seconds.toFixed(1)} s` : null;
    case "lost":
      return `Redis is away: ${event.why}`;
    case "found":
      return "Redis is here again";
    case "trouble":
      return event.why;
    default:
      return event satisfies never;
  }
}

async function workCommand(url: string, options: WorkCliOptions, io: Io): Promise<void> {
  const folder = options.data ?? io.folder ?? ".";
  const stop = new AbortController();
  const quiet = io.onStop?.(() => stop.abort());
  const dataset = await openDataset(await dataFolder(folder));
  try {
    const onEvent = (event: WorkEvent): void => {
      const text = eventText(event, plain(folder));
      if (text !== null) io.err(`${text}\n`);
    };
    const jobs = await work(url, dataset, { name: projectName(folder), onEvent, signal: stop.signal });
    answer(io, options, { jobs }, () => `${plural(jobs, "job")} done.`);
  } finally {
    await dataset.close();
    quiet?.();
  }
}

const EXAMPLES = `
Every worker has the data itself: the same files, imported with the same options. Several on one machine share its cores.

Examples:
  kinglet federate work redis://host:6379 --data ./digits`;

export function addWork(federate: Command, io: Io): void {
  federate
    .command("work")
    .description("Trains for simulations and sweeps of others who gave the same Redis as --queue.")
    .argument("<url>", "of the Redis, as redis://host:6379")
    .option("--data <dir>", "a project with imported data, or a data set's folder (default: this folder)")
    .option("--json", "one JSON document on stdout")
    .addHelpText("after", EXAMPLES)
    .action((url: string, options: WorkCliOptions) => workCommand(url, options, io));
}
