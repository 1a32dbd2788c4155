import { isDeepStrictEqual } from "node:util";
import { fromBytes, KingletError } from "../../kinglet/src/base/index.ts";
import type { Sample } from "../../kinglet/src/driver/index.ts";
import { readTflite, writeTflite } from "../../kinglet/src/formats/index.ts";
import { comparable } from "../../kinglet/src/formats/graph-testing.ts";
import type { Graph } from "../../kinglet/src/graph/index.ts";
import { openTflite } from "../js/engines.mjs";
import { compare, type Difference, isClose, messageOf, type Outputs } from "./difference.ts";
import { runRoundedOnce } from "./rounded-once.ts";
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
  return ["Kinglet", runRoundedOnce(back, samples)];
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
