import { join } from "node:path";
import { fromBytes } from "../../kinglet/src/base/index.ts";
import { seededSample } from "../../kinglet/src/driver/index.ts";
import { readOnnx } from "../../kinglet/src/formats/index.ts";
import { zippedFiles } from "../../kinglet/src/formats/test-files.ts";
import { SHARED } from "../subjects.ts";
import { NONE, terminal } from "../table.ts";
import { type Accuracy, CLASSIFIED, compareAccuracy } from "./quantized-accuracy.ts";
import { compareLayers, type OnnxLayer } from "./quantized-layers.ts";

/** A quantized ONNX model beside ONNX Runtime: layer by layer, and on labelled samples. */
export interface CheckedQuantized {
  readonly model: string;
  readonly layers: readonly OnnxLayer[];
  readonly accuracy: Accuracy;
}

const SEEDS = [1, 2];
/** What two roundings of the same number may make. */
export const MOST_STEPS = 1;
const MOST_POINTS = 0.5;

/** Layers of both samples: the worse of each. */
function worst(samples: readonly (readonly OnnxLayer[])[]): OnnxLayer[] {
  return samples[0]!.map((layer, i) => {
    const all = samples.map((layers) => layers[i]!);
    const least = (key: "equal" | "equalOnce"): number => Math.min(...all.map((each) => each[key]));
    return { ...layer, steps: Math.max(...all.map(({ steps }) => steps)), equal: least("equal"), equalOnce: least("equalOnce") };
  });
}

/** The quantized ONNX models of the development data. */
export async function checkQuantized(peers: string): Promise<CheckedQuantized[]> {
  const files = new Map(
    [...zippedFiles(join(SHARED, "data", "models"), ".onnx")].map(([path, bytes]) => [path.slice(path.lastIndexOf("/") + 1), bytes]),
  );
  const checked: CheckedQuantized[] = [];
  for (const subject of CLASSIFIED) {
    const file = files.get(subject.model)!;
    const graph = readOnnx(file, subject.model);
    const samples: OnnxLayer[][] = [];
    for (const seed of SEEDS) {
      const inputs = seededSample(graph, seed).map((bytes, i) => fromBytes(graph.inputs[i]!.dtype, bytes));
      samples.push(await compareLayers(peers, file, subject.model, inputs));
    }
    checked.push({ model: subject.model, layers: worst(samples), accuracy: await compareAccuracy(peers, file, subject) });
  }
  return checked;
}

export const quantizedFailed = (all: readonly CheckedQuantized[]): boolean =>
  all.some(({ layers, accuracy }) => layers.some(({ steps }) => steps > MOST_STEPS) || Math.abs(accuracy.kinglet - accuracy.runtime) > MOST_POINTS);

const share = (part: number): string => `${(100 * part).toFixed(2)} %`;

export function quantizedText(all: readonly CheckedQuantized[]): string {
  const layers = all.flatMap(({ model, layers }) =>
    layers.map(({ operators, steps, equal, equalOnce }) => [model, operators.join(" ") || NONE, String(steps), share(equal), share(equalOnce)]),
  );
  const accuracy = all.map(({ accuracy: { model, samples, kinglet, runtime, same } }) => [
    model,
    String(samples),
    `${kinglet.toFixed(2)} %`,
    `${runtime.toFixed(2)} %`,
    String(same),
  ]);
  return [
    terminal({ titles: ["each layer, given ONNX Runtime's own integers", "operators", "steps", "equal", "rounded once"], rows: layers }),
    terminal({ titles: ["right answers", "samples", "Kinglet", "ONNX Runtime", "same class"], rows: accuracy }),
  ].join("\n\n");
}
