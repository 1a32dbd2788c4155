// `npm run bench [-- --json] [MODEL…]`: size and instructions on an emulated Cortex-M4, beside TensorFlow Lite Micro.
import { formatTable } from "../kinglet/src/report/index.ts";
import { type Measured, measure, type Skipped } from "./measure.ts";
import { type Limits, limitsFor, PEERS } from "./peers.ts";
import { subjects } from "./subjects.ts";

type Ratios = { readonly [K in keyof Limits]?: number };

function ratiosOf(result: Measured): Ratios {
  const peer = PEERS[result.model];
  if (peer === undefined) return {};
  return {
    arena: result.arenaBytes / peer.cmsisArenaBytes,
    ...(result.codeBytes === undefined ? {} : { code: result.codeBytes / peer.cmsisCodeBytes }),
    ...(result.instructions === undefined ? {} : { instructions: result.instructions / peer.referenceInstructions }),
  };
}

function verdict(ratio: number | undefined, limit: number): string {
  if (ratio === undefined) return "–";
  return `${ratio.toFixed(3)} ${ratio <= limit ? "hit" : "MISS"}`;
}

function figure(value: number | undefined): string {
  return value === undefined ? "–" : Math.round(value).toLocaleString("en-US");
}

function rowOf(result: Measured): string[] {
  const [ratios, limits] = [ratiosOf(result), limitsFor(result.model)];
  return [
    result.model,
    figure(result.arenaBytes),
    verdict(ratios.arena, limits.arena),
    figure(result.codeBytes),
    verdict(ratios.code, limits.code),
    figure(result.instructions),
    verdict(ratios.instructions, limits.instructions),
    figure(result.weightBytes),
    figure(result.stackBytes),
    figure(result.wasmGzipBytes),
    figure(result.compileMs),
  ];
}

const TITLES = ["model", "arena B", "≤ 0.75", "code B", "≤ 0.2", "instructions", "≤ 0.5", "weights B", "stack B", "wasm gz B", "compile ms"];

function printText(results: readonly (Measured | Skipped)[], note: string | null): void {
  if (note !== null) console.log(`${note}\n`);
  const measured = results.filter((result) => "arenaBytes" in result);
  console.log(
    formatTable(
      TITLES.map((title, i) => ({ title, align: i === 0 ? "left" : "right" })),
      measured.map(rowOf),
    ),
  );
  for (const result of results) if ("skipped" in result) console.log(`${result.model}: skipped: ${result.skipped}`);
  console.log("\nShares of TensorFlow Lite Micro 90b983c2 on the emulated Cortex-M4: arena and code with CMSIS-NN, instructions with its");
  console.log("reference kernels. resnet8 may use 0.9 of the arena. Bytes and instructions are exact; the time is this machine's.");
}

const args = process.argv.slice(2);
const { list, note } = await subjects(args.filter((arg) => !arg.startsWith("-")));
const results: (Measured | Skipped)[] = [];
for (const subject of list) {
  process.stderr.write(`measuring ${subject.model}\n`);
  results.push(await measure(subject));
}
if (args.includes("--json"))
  console.log(
    JSON.stringify(
      {
        note,
        models: results.map((result) => ("arenaBytes" in result ? { ...result, ratios: ratiosOf(result), limits: limitsFor(result.model) } : result)),
      },
      null,
      2,
    ),
  );
else printText(results, note);
