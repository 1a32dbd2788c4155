// A worker in a process of its own, which a test may kill: `node --import tsx worker-process-testing.ts URL SEED MS`.
import { slowClouds } from "./queue-testing.ts";
import { work } from "./worker.ts";

const [url, seed, ms] = process.argv.slice(2) as [string, string, string];
const say = (what: string): void => void process.stdout.write(`${what}\n`);
const dataset = slowClouds(Number(seed), Number(ms), () => say("reading"));
await work(url, dataset, {
  name: "clouds",
  patienceMs: 1000,
  signal: new AbortController().signal,
  onEvent: ({ event }) => say(event),
});
