import { isDeepStrictEqual } from "node:util";
import { fromBytes, KingletError } from "../../kinglet/src/base/index.ts";
import type { Sample } from "../../kinglet/src/driver/index.ts";
import { readTflite, writeTflite } from "../../kinglet/src/formats/index.ts";
import { comparable } from "../../kinglet/src/formats/graph-testing.ts";
import type { Graph } from "../../kinglet/src/graph/index.ts";
import type { ProgramRunner } from "../../kinglet/src/loops/index.ts";
import { ONE_ROUNDING } from "../../kinglet/src/ops/one-rounding-testing.ts";
import { runPasses } from "../../kinglet/src/passes/index.ts";
import { placeBuffers } from "../../kinglet/src/plan/index.ts";
import { createJsRunner } from "../../kinglet/src/targets/js/index.ts";
import { lower } from "../../kinglet/src/targets/lower.ts";
import { openTflite } from "../js/engines.mjs";
import { compare, type Difference, isClose, messageOf, type Outputs } from "./difference.ts";
import type { Subject } from "./subjects.ts";

/** What came of writing one network. */
export interface Checked {
  readonly name: string;
  /** The writer's refusal; nothing else is known then. */
  readonly refused?: string;
  readonly fileBytes?: number;
  /** The graph that reading gives is the one that was written; null where it was written in other words (see `respell`). */
  readonly readsBack?: boolean;
  /** Why TensorFlow Lite did not run it. */
  readonly engineRefuses?: string;
  /** The same engine with the file that the network came from, or Kinglet with the written file where there is none that it runs. */
  readonly against?: "original file" | "Kinglet";
  readonly difference?: Difference;
  readonly equal?: boolean;
}

/** By the plain loops, but 8-bit integers rounded as XNNPACK rounds them, which TensorFlow Lite leaves those to (and 16-bit ones not). */
function runKinglet(graph: Graph, samples: readonly Sample[]): Outputs[] {
  const isWide = graph.values.some(({ dtype, data }) => dtype === "int16" && data === undefined);
  const program = lower(runPasses(graph), { schedules: isWide ? {} : ONE_ROUNDING });
  const runner: ProgramRunner = createJsRunner(program, placeBuffers(program));
  return samples.map((sample) => {
    sample.forEach((bytes, i) => runner.setInput(i, bytes));
    runner.run();
    return graph.outputs.map(({ dtype }, i) => fromBytes(dtype, runner.output(i)));
  });
}

async function runTflite(peers: string, bytes: Uint8Array, graph: Graph, samples: readonly Sample[]): Promise<Outputs[]> {
  const network = await openTflite(peers, bytes);
  return samples.map((sample) => {
    network.inputs().forEach((input, i) => {
      const memory = input.data();
      if (typeof memory === "number") throw new Error(`this build takes no input of ${graph.inputs[i]!.dtype}`);
      memory.set(fromBytes(graph.inputs[i]!.dtype, sample[i]!) as never);
    });
    network.infer();
    return network.outputs().map((output, i) => {
      const memory = output.data();
      if (typeof memory === "number") throw new Error(`this build gives no output of ${graph.outputs[i]!.dtype}`);
      return memory.slice() as Outputs[number];
    });
  });
}

/** The original in the same engine, if that runs it as Kinglet reads it: where it leaves shapes open, this engine takes other ones. */
async function reference(
  peers: string,
  { original, graph, samples }: Subject,
  back: Graph,
  got: readonly Outputs[],
): Promise<[NonNullable<Checked["against"]>, Outputs[]]> {
  try {
    if (original !== undefined) {
      const outputs = await runTflite(peers, original, graph, samples);
      if (outputs.flat().every((tensor, i) => tensor.length === got.flat()[i]!.length)) return ["original file", outputs];
    }
  } catch {
    // Kinglet's results serve instead.
  }
  return ["Kinglet", runKinglet(back, samples)];
}

/** Writes a network, reads it back, and runs what was written in TensorFlow Lite. */
export async function check(subject: Subject, peers: string): Promise<Checked> {
  const { name, graph, samples } = subject;
  let bytes: Uint8Array;
  try {
    bytes = writeTflite(graph);
  } catch (error) {
    if (error instanceof KingletError) return { name, refused: error.message };
    throw error;
  }
  const back = readTflite(bytes, name);
  const readsBack = isDeepStrictEqual(comparable(back), comparable(graph));
  const written = { name, fileBytes: bytes.length, readsBack };
  let got: Outputs[];
  try {
    got = await runTflite(peers, bytes, graph, samples);
  } catch (error) {
    return { ...written, engineRefuses: messageOf(error) };
  }
  const [against, wanted] = await reference(peers, subject, back, got);
  const difference = compare(got, wanted);
  return { ...written, against, difference, equal: isClose(difference) };
}
