import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { keywordSpotter, sampleInput } from "../kinglet/src/demo/network.ts";
import type { Sample } from "../kinglet/src/driver/index.ts";
import { readModel } from "../kinglet/src/formats/index.ts";
import type { Subject } from "./measure.ts";

/** Folder of the development data (CONTRIBUTING.md); it need not be there. */
export const SHARED = process.env["KINGLET_SHARED"] ?? fileURLToPath(new URL("../../shared", import.meta.url));
const GOLDEN = join(SHARED, "golden");

/** The first stored inputs of a model: in1.bin, or in1_0.bin, in1_1.bin, … where it has several. */
function firstSample(folder: string): Sample {
  if (existsSync(join(folder, "in1.bin"))) return [readFileSync(join(folder, "in1.bin"))];
  const names = readdirSync(folder).filter((name) => /^in1_\d+\.bin$/.test(name));
  return names.sort((a, b) => Number.parseInt(a.slice(4), 10) - Number.parseInt(b.slice(4), 10)).map((name) => readFileSync(join(folder, name)));
}

function golden(model: string): Subject {
  const folder = join(GOLDEN, model);
  const file = join(folder, "model.tflite");
  return { model, read: () => readModel(readFileSync(file), model), samples: [firstSample(folder)] };
}

/** The models to measure and, where the development data is absent, why it is only the demo's network. */
export async function subjects(wanted: readonly string[]): Promise<{ list: Subject[]; note: string | null }> {
  if (existsSync(GOLDEN)) {
    const names = readdirSync(GOLDEN).filter((name) => existsSync(join(GOLDEN, name, "model.tflite")));
    return { list: names.filter((name) => wanted.length === 0 || wanted.includes(name)).map(golden), note: null };
  }
  const graph = await keywordSpotter();
  const note = "The reference models are not here (KINGLET_SHARED names their folder), so this measures the demo's network only.";
  return { list: [{ model: "demo", read: () => graph, samples: [[sampleInput(graph, 1)]] }], note };
}
