import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bytesOf, fromBytes } from "../../kinglet/src/base/index.ts";
import { classesOf } from "../../kinglet/src/data/classes.ts";
import { type Recording, readRecordings } from "../../kinglet/src/data/readers/index.ts";
import { execute } from "../../kinglet/src/driver/index.ts";
import { readOnnx } from "../../kinglet/src/formats/index.ts";
import { openOnnxNamed } from "../js/engines.mjs";
import { SHARED } from "../subjects.ts";

/** A quantized network with labelled samples, and what its inputs are made of. */
export interface Classified {
  readonly model: string;
  readonly samples: string;
  readonly real: (stored: number) => number;
}

/** MLPerf Tiny's: stored features are on the scale of the reference model's input, pixels are taken as they are. */
export const CLASSIFIED: readonly Classified[] = [
  { model: "kaijiang-kws_ref_model.onnx", samples: "mlperf-tiny/kws01.npz", real: (stored) => (stored - 83) * 0.5847029089927673 },
  { model: "kaijiang-resnet.onnx", samples: "image/cifar10-test-lossless150.bin.gz", real: (stored) => stored },
];

/** Right answers in percent, and samples for which both engines say the same class. */
export interface Accuracy {
  readonly model: string;
  readonly samples: number;
  readonly kinglet: number;
  readonly runtime: number;
  readonly same: number;
}

function largest(scores: ArrayLike<number | bigint>): number {
  let best = 0;
  for (let i = 1; i < scores.length; i++) if (scores[i]! > scores[best]!) best = i;
  return best;
}

async function readSamples({ samples, real }: Classified): Promise<{ inputs: Float32Array[]; labels: number[] }> {
  const place = join(SHARED, "data", samples);
  const recordings: Recording[] = [...(await readRecordings({ bytes: readFileSync(place), place, sibling: async () => null }))];
  const classes = classesOf(
    recordings.map(({ label }) => label!),
    undefined,
  );
  return { inputs: recordings.map(({ data }) => Float32Array.from(data, real)), labels: recordings.map(({ label }) => classes.indexOf(label!)) };
}

/** How often Kinglet and ONNX Runtime are right on the same samples. */
export async function compareAccuracy(peers: string, file: Uint8Array, subject: Classified): Promise<Accuracy> {
  const { inputs, labels } = await readSamples(subject);
  const graph = readOnnx(file, subject.model);
  const { outputs } = await execute(
    graph,
    "wasm",
    inputs.map((input) => [bytesOf(input)]),
  );
  const runtime = await openOnnxNamed(peers, file);
  let [kinglet, other, same] = [0, 0, 0];
  for (const [i, input] of inputs.entries()) {
    const mine = largest(fromBytes("float32", outputs[i]![0]!));
    const theirs = largest(Object.values(await runtime.run([input]))[0]!.data);
    if (mine === labels[i]) kinglet++;
    if (theirs === labels[i]) other++;
    if (mine === theirs) same++;
  }
  const percent = (count: number): number => (100 * count) / inputs.length;
  return { model: subject.model, samples: inputs.length, kinglet: percent(kinglet), runtime: percent(other), same };
}
