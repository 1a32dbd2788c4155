import { bytesOf, Xorshift32 } from "../base/index.ts";
import type { Graph } from "../graph/index.ts";
import { storedNumbers } from "../ops/index.ts";
import { dsCnn } from "../zoo/index.ts";

const [FRAMES, BANDS] = [49, 10];

/** A keyword spotter in the shape of the MLPerf Tiny benchmark's, with seeded weights. */
export function keywordSpotter(): Graph {
  return dsCnn({ precision: "int8" });
}

/** Features of sounds look like a few smooth bands over time with some noise on top; a seed gives one of them, in [−1, 1]. */
function sampleFeatures(seed: number): Float32Array {
  const random = new Xorshift32(seed);
  const [speed, phase, tilt] = [0.1 + 0.08 * random.float(), 3 * random.float(), 0.5 * random.float()];
  return Float32Array.from({ length: FRAMES * BANDS }, (_, i) => {
    const [frame, band] = [Math.floor(i / BANDS), i % BANDS];
    const envelope = Math.exp(-(((frame - FRAMES / 2) / 14) ** 2));
    return 0.7 * envelope * Math.sin(speed * frame * (1 + band * 0.3) + phase) + 0.04 * tilt * (band - 5) + 0.1 * random.float();
  });
}

/** Seeded features as the network's int8 input. */
export function sampleInput(graph: Graph, seed: number): Uint8Array {
  return bytesOf(storedNumbers(graph.inputs[0]!, sampleFeatures(seed)));
}
