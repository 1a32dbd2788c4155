import type { Command } from "commander";
import { type Conformance, type OnnxCase, parseVia, runOnnxCases, type Via } from "../driver/index.ts";
import { formatTable } from "../report/index.ts";
import { count, plain } from "./format.ts";
import { answer, type CommonOptions, type Io } from "./io.ts";
import type { Outcome } from "./main.ts";

interface ConformanceOptions extends CommonOptions {
  readonly dir: string;
  readonly via: string;
}

/** Reasons with how many cases each has, the most frequent first. */
function reasons(cases: readonly OnnxCase[]): [reason: string, cases: number][] {
  const counts = new Map<string, number>();
  for (const one of cases) if (one.outcome === "refused") counts.set(one.reason ?? "", (counts.get(one.reason ?? "") ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

function conformanceText(found: Conformance): string {
  const refused = reasons(found.cases).map(([reason, cases]) => [count(cases), plain(reason)]);
  const wrong = found.cases.filter((one) => one.outcome === "wrong").map((one) => `  ${plain(one.name)}: ${plain(one.reason ?? "")}`);
  return [
    `${count(found.passed)} passed, ${count(found.refused)} refused, ${count(found.wrong)} wrong`,
    ...(wrong.length === 0 ? [] : ["", "Wrong", ...wrong]),
    ...(refused.length === 0
      ? []
      : [
          "",
          formatTable(
            [
              { title: "Cases", align: "right" },
              { title: "Refused because", most: 66 },
            ],
            refused,
          ),
        ]),
  ].join("\n");
}

async function conformance(options: ConformanceOptions, io: Io, outcome: Outcome): Promise<void> {
  const vias = [...new Set(options.via.split(",").map((part): Via => parseVia(part.trim())))];
  let told = Date.now();
  let done = 0;
  const found = await runOnnxCases(options.dir, vias, () => {
    done++;
    if (Date.now() - told < 5000) return;
    told = Date.now();
    io.err(`${count(done)} cases …\n`);
  });
  if (found.wrong > 0) outcome.exitCode = 1;
  answer(io, options, found, () => conformanceText(found));
}

export function addConformance(program: Command, io: Io, outcome: Outcome): void {
  program
    .command("conformance")
    .description("Runs a folder of ONNX backend cases and compares with their stored outputs.")
    .requiredOption("--dir <cases>", "folder of cases: CASE/model.onnx and\nCASE/test_data_set_0/input_0.pb, output_0.pb …")
    .option("--via <a,b,...>", "ways to run them", "js,wasm")
    .option("--json", "one JSON document on stdout: passed, refused, wrong, cases")
    .addHelpText(
      "after",
      "\nOpen shapes, and contents that an operator must know before the network runs, are\ntaken from a case's inputs. Exit 1 if any output is wrong.\n\nExamples:\n  kinglet conformance --dir onnx/backend/test/data/node",
    )
    .action((options: ConformanceOptions) => conformance(options, io, outcome));
}
