// `npm run bench [-- --json | --save | --check] [MODEL…]`: bytes and instructions on emulated cores, beside other engines.
import { writeDocs } from "./docs.ts";
import { jobsFor } from "./jobs.ts";
import { arenaTable, compileTable, coreTable, coreTargetTable, floatTable, goalTable, planTable, speedTable, treeTable } from "./mcu-tables.ts";
import { measureRun, modelFacts, type Skipped, type Subject, toolVersions } from "./measure.ts";
import { differences, loadMcu, type McuResults, type McuRun, type ModelFacts, merge, runKey, save } from "./results.ts";
import { subjects } from "./subjects.ts";
import { terminal } from "./table.ts";

const TABLES = [
  ["Instructions on the Cortex-M4, --optimize speed:", speedTable],
  ["Bytes of arena on the Cortex-M4, --optimize balanced:", arenaTable],
  ["What the memory plans cost, --optimize balanced:", planTable],
  ["Code and instructions by goal, Cortex-M4:", goalTable],
  ["Instructions on every core, --optimize speed:", coreTable],
  ["Other cores beside peers, --optimize speed:", coreTargetTable],
  ["Float on the Cortex-M4, --optimize balanced:", floatTable],
  ["Trees:", treeTable],
  ["Compile time on this machine, and WebAssembly:", compileTable],
] as const;

interface Measured {
  readonly results: McuResults;
  readonly reasons: readonly string[];
}

const isReason = (one: object): one is Skipped => "skipped" in one;

async function measureAll(list: readonly Subject[]): Promise<Measured> {
  const models: ModelFacts[] = [];
  const runs: McuRun[] = [];
  const reasons = new Set<string>();
  const keep = <T extends object>(into: T[], one: T | Skipped): void => {
    if (isReason(one)) reasons.add(`${one.model}: skipped: ${one.skipped}`);
    else into.push(one);
  };
  for (const subject of list) {
    keep(models, await modelFacts(subject));
    for (const job of jobsFor(subject.model)) {
      process.stderr.write(`measuring ${subject.model} on ${job.core}, ${job.goal}\n`);
      keep(runs, await measureRun(subject, job));
    }
  }
  return { results: { tools: toolVersions(), models, runs }, reasons: [...reasons] };
}

function printText(results: McuResults, reasons: readonly string[]): void {
  for (const [title, table] of TABLES) {
    const made = table(results);
    if (made.rows.length > 0) console.log(`${title}\n\n${terminal(made)}\n`);
  }
  for (const reason of reasons) console.log(reason);
  console.log("Bytes and instructions are exact; the time is this machine's. docs/benchmarks.md tells how they are counted.");
}

/** Compares with the stored figures, to the digit. */
function check(results: McuResults): void {
  const changed = differences(loadMcu().runs, results.runs);
  console.log(changed.length === 0 ? `${results.runs.length} runs are as stored.` : changed.join("\n"));
  if (changed.length > 0) console.log("\nIf this is meant: npm run bench -- --save");
  process.exitCode = changed.length === 0 ? 0 : 1;
}

const args = process.argv.slice(2);
const { list, note } = subjects(args.filter((arg) => !arg.startsWith("-")));
if (note !== null) console.error(note);
const { results, reasons } = await measureAll(list);
if (args.includes("--json")) console.log(JSON.stringify(results, null, 2));
else if (args.includes("--check")) check(results);
else printText(results, reasons);
if (args.includes("--save")) {
  const old = loadMcu();
  save("mcu", { ...results, models: merge(old.models, results.models, ({ model }) => model), runs: merge(old.runs, results.runs, runKey) });
  writeDocs();
}
