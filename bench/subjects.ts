import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { keywordSpotter, sampleInput } from "../kinglet/src/demo/network.ts";
import { type Sample, seededSample } from "../kinglet/src/driver/index.ts";
import { readModel } from "../kinglet/src/formats/index.ts";
import type { Graph } from "../kinglet/src/graph/index.ts";
import { ZOO } from "../kinglet/src/zoo/index.ts";
import { EXTRA_TREES, extraTrees } from "./extra-trees.ts";
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

/** The network of the zoo that planners are compared on. */
function fromZoo(model: string): Subject {
  const graph = ZOO[model]!();
  return { model, read: () => graph, samples: [seededSample(graph, 1)] };
}

const MODELS = [
  ...["ad01", "hello_world", "kws", "mcunet_vww", "mcunetv2_large", "micro_speech", "person_detect", "resnet8", "strww", "vww96"],
  ...["hello_world_float", "mlperf_ad01_fp32", "mlperf_pretrainedResnet", "mlperf_vww_96_float"],
];
const ZOO_MODELS = ["mobilenet_v2_0.35_144_chain"];

function forest(model: string): Subject {
  const bytes = extraTrees();
  const read = (): Graph => readModel(bytes, model);
  return { model, read, samples: [seededSample(read(), 1)] };
}

function demo(): Subject {
  const graph = keywordSpotter();
  return { model: "demo", read: () => graph, samples: [[sampleInput(graph, 1)]] };
}

/** @throws Error for a name that no model has. */
function refuseUnknown(wanted: readonly string[]): void {
  const known = [...MODELS, ...ZOO_MODELS, EXTRA_TREES];
  const unknown = wanted.filter((model) => !known.includes(model));
  if (unknown.length > 0) throw new Error(`no model ${unknown.join(", ")}; there are ${known.join(", ")}`);
}

/** The models to measure and, where the development data is absent, why the files are left out. */
export function subjects(wanted: readonly string[]): { list: Subject[]; note: string | null } {
  refuseUnknown(wanted);
  const chosen = (names: readonly string[]): string[] => names.filter((name) => wanted.length === 0 || wanted.includes(name));
  const own = [...chosen(ZOO_MODELS).map(fromZoo), ...chosen([EXTRA_TREES]).map(forest)];
  if (existsSync(GOLDEN)) return { list: [...chosen(MODELS).map(golden), ...own], note: null };
  const note = "The reference models are not here (KINGLET_SHARED names their folder), so this measures the demo's network, the zoo's and the trees.";
  return { list: [...(wanted.length === 0 ? [demo()] : []), ...own], note };
}
