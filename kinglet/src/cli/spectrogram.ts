import { bytesOf, fromBytes } from "../base/index.ts";
import type { DatasetInfo } from "../data/index.ts";
import { execute } from "../driver/index.ts";
import { GraphBuilder } from "../graph/index.ts";
import type { ShownMistake } from "../report/index.ts";
import { mfe } from "../signal/index.ts";

/** Slower signals are looked at as they are. */
const SOUND_HZ = 1000;
const [FRAME_SECONDS, STEP_SECONDS, BANDS, RANGE_DB] = [0.032, 0.008, 64, 70];

type Spectrogram = NonNullable<ShownMistake["spectrogram"]>;

/** Mel spectrograms of samples of sound for the eye: decibels below the loudest, from 0 to 1; undefined where samples are no sound. */
export async function spectrograms({ shape, rateHz }: DatasetInfo, samples: readonly Float32Array[]): Promise<Spectrogram[] | undefined> {
  const [length, channels] = shape as [number, number];
  const [frameLength, frameStep] = [FRAME_SECONDS, STEP_SECONDS].map((seconds) => Math.round(seconds * (rateHz ?? 0))) as [number, number];
  if (shape.length !== 2 || channels !== 1 || rateHz === null || rateHz < SOUND_HZ || frameLength > length || samples.length === 0) return undefined;
  const b = new GraphBuilder("spectrogram");
  const x = b.input("sound", { dtype: "float32", shape: [1, length] });
  const bank = { bands: BANDS, sampleRate: rateHz, lowHz: 20, highHz: rateHz / 2 };
  b.output(mfe(b, x, { frameLength, frameStep, ...bank, reference: "largest", range: RANGE_DB }));
  const graph = b.build();
  const { outputs } = await execute(
    graph,
    "wasm",
    samples.map((sample) => [bytesOf(sample)]),
  );
  return outputs.map(([bytes]) => ({
    data: Float32Array.from(fromBytes("float32", bytes!) as Float32Array, (decibels) => 1 + decibels / RANGE_DB),
    frames: graph.outputs[0]!.shape[1]!,
    bands: BANDS,
  }));
}
