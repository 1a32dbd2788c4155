import { Command } from "commander";
import { addCompile } from "./compile.ts";
import { addConformance } from "./conformance.ts";
import { addConvert } from "./convert.ts";
import { addData } from "./data.ts";
import { addDiff } from "./diff.ts";
import { addDistill } from "./distill.ts";
import { addDoctor } from "./doctor.ts";
import { report } from "./errors.ts";
import { addEvaluate } from "./evaluate.ts";
import { addFederate } from "./federate.ts";
import { addInit } from "./init.ts";
import { addInspect } from "./inspect.ts";
import type { Io } from "./io.ts";
import { addPrune } from "./prune.ts";
import { addQuantize } from "./quantize.ts";
import { addRun } from "./run.ts";
import { addTrain } from "./train.ts";
import { addVerify } from "./verify.ts";
import { version } from "./version.ts";

const HELP = `
Examples:
  kinglet inspect model.tflite
  kinglet compile model.tflite --target c --board nucleo-l4r5zi --out firmware/
  kinglet quantize float.tflite --calibrate samples.npy --out model.kinglet
  kinglet verify model.tflite --via js,wasm,c,cortex-m4
  kinglet convert model.kinglet model.tflite
  kinglet init my-words --from sound
  kinglet data import recordings/ --window 16000
  kinglet train
  kinglet federate simulate --clients 20 --split label:2

Exit codes: 0 done, 1 a failed check or a refused file, 2 misuse.
kinglet COMMAND --help tells everything about a command.`;

/** Each command sets the exit code of a check that failed without an error. */
export interface Outcome {
  exitCode: number;
}

function programFor(io: Io, outcome: Outcome): Command {
  const program = new Command("kinglet")
    .description("Compiles neural networks for the smallest machines, and proves the result.")
    .version(version())
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.out(text),
      writeErr: (text) => io.err(text),
      // All refusals begin alike, whoever found the mistake.
      outputError: (text, write) => write(text.replace(/^error: /, "kinglet: ")),
      getOutHelpWidth: () => 80,
      getErrHelpWidth: () => 80,
    })
    .showHelpAfterError("(--help shows what is possible)")
    .addHelpText("after", HELP);
  addInit(program, io);
  addData(program, io);
  addTrain(program, io);
  addPrune(program, io);
  addDistill(program, io);
  addQuantize(program, io);
  addEvaluate(program, io);
  addFederate(program, io);
  addInspect(program, io);
  addRun(program, io);
  addCompile(program, io);
  addVerify(program, io, outcome);
  addConvert(program, io);
  addDiff(program, io, outcome);
  addConformance(program, io, outcome);
  addDoctor(program, io);
  return program;
}

/** Runs one command and gives the exit code: 0 ok, 1 failed check or refused file, 2 misuse. Never throws. */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  const outcome: Outcome = { exitCode: 0 };
  try {
    await programFor(io, outcome).parseAsync([...argv], { from: "user" });
    return outcome.exitCode;
  } catch (error) {
    return report(error, io);
  }
}
