import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { bytesOf, KingletError, Xorshift32 } from "../../kinglet/src/base/index.ts";
import { quantizeNetwork, type Sample, seededSample } from "../../kinglet/src/driver/index.ts";
import { readModel } from "../../kinglet/src/formats/index.ts";
import { zippedFiles } from "../../kinglet/src/formats/test-files.ts";
import type { Graph } from "../../kinglet/src/graph/index.ts";
import { caseGraph, OPS } from "../../kinglet/src/ops/index.ts";
import { prepareForQuantization, quantizeDynamic, roundToFloat16 } from "../../kinglet/src/passes/index.ts";
import { autoencoder, cnn1d, dsCnn, gru, mlp, mobilenetV2, mobilenetV3, resnet8, shufflenetV2, ZOO } from "../../kinglet/src/zoo/index.ts";
import { SHARED } from "../subjects.ts";

/** A network to write, with the file that it came from if it came from one. */
export interface Subject {
  readonly name: string;
  readonly graph: Graph;
  readonly original?: Uint8Array;
  /** The format of that file. */
  readonly format?: "tflite" | "onnx";
  /** What it is run on. */
  readonly samples: readonly Sample[];
}

/** Whether a network of this name is asked for: others are not even made. */
export type Wants = (name: string) => boolean;

const SEEDS = [1, 2];

type Format = NonNullable<Subject["format"]>;

function subject(name: string, graph: Graph, file: Pick<Subject, "original" | "format"> = {}): Subject {
  return { name, graph, samples: SEEDS.map((seed) => seededSample(graph, seed)), ...file };
}

/** Shapes that files of the development data leave open. */
const OPEN_SHAPES: Readonly<Record<string, readonly number[]>> = {
  "basic_pitch-nmp.onnx": [1, 43844, 1],
  "tract-keras-example.onnx": [1, 100],
};

function* storedFiles(format: Format): Iterable<[string, Uint8Array]> {
  if (!existsSync(SHARED)) return;
  // The cases of ONNX's own operators are no networks.
  yield* zippedFiles(join(SHARED, format === "onnx" ? "data/models" : "data"), `.${format}`);
  if (format === "onnx") return;
  const golden = join(SHARED, "golden");
  for (const model of readdirSync(golden)) {
    const file = join(golden, model, "model.tflite");
    if (existsSync(file)) yield [`golden/${model}`, readFileSync(file)];
  }
}

/** Every network of the development data in files of this format that Kinglet reads. */
export function* fileSubjects(format: Format, wants: Wants): Iterable<Subject> {
  for (const [name, original] of storedFiles(format)) {
    if (!wants(name)) continue;
    try {
      yield subject(name, readModel(original, name, { shapeOf: () => OPEN_SHAPES[basename(name)] }), { original, format });
    } catch (error) {
      if (!(error instanceof KingletError)) throw error;
    }
  }
}

const TRAINABLE: Readonly<Record<string, () => Graph>> = {
  resnet8: () => resnet8(),
  ds_cnn: () => dsCnn(),
  ds_cnn_digits: () => dsCnn({ variant: "digits" }),
  mobilenet_v2: () => mobilenetV2({ resolution: 64, classes: 10, width: 0.5 }),
  mobilenet_v3: () => mobilenetV3({ resolution: 64, classes: 10, variant: "small" }),
  shufflenet_v2: () => shufflenetV2({ resolution: 64, classes: 10 }),
  autoencoder: () => autoencoder(),
  cnn_1d: () => cnn1d(),
  gru: () => gru(),
  mlp: () => mlp(),
};
const CALIBRATION = 8;

/** Forms of a float network; calibration wants samples. */
const FORMS: Readonly<Record<string, (graph: Graph, samples: readonly Sample[]) => Graph>> = {
  float: (graph) => graph,
  int8: (graph, samples) => quantizeNetwork(graph, samples, { io: "int8" }).graph,
  "16x8": (graph, samples) => quantizeNetwork(graph, samples, { activations: "int16", io: "int16" }).graph,
  "int8 weights": (graph) => quantizeDynamic(graph, { perAxis: false }),
  "half-precision weights": (graph) => roundToFloat16(graph),
};

/** Networks of Kinglet's own (inputs of integers are integers: TensorFlow Lite quantizes floats to 16 bits by a product): float, and as Kinglet quantizes them; and the deployed ones. */
export function* ownSubjects(wants: Wants): Iterable<Subject> {
  for (const [name, make] of Object.entries(TRAINABLE)) {
    const wanted = Object.entries(FORMS).filter(([form]) => wants(`${name}, ${form}`));
    if (wanted.length === 0) continue;
    const graph = prepareForQuantization(make());
    const samples = Array.from({ length: CALIBRATION }, (_, seed) => seededSample(graph, seed + 10));
    for (const [form, formOf] of wanted) yield subject(`${name}, ${form}`, formOf(graph, samples));
  }
  for (const name of ["mobilenet_v1_0.25_128", "mobilenet_v1_0.25_128_float", "mobilenet_v2_0.35_144"])
    if (wants(name)) yield subject(name, ZOO[name]!());
}

/** The operators' own examples, one network each. */
export function* operatorSubjects(wants: Wants): Iterable<Subject> {
  for (const op of Object.values(OPS)) {
    for (const example of op.cases) {
      if (!wants(`${op.name}: ${example.name}`)) continue;
      const { graph, inputs } = caseGraph({ ...op, cases: [example] }, new Xorshift32(7));
      yield { name: `${op.name}: ${example.name}`, graph, samples: [inputs.map(bytesOf)] };
    }
  }
}
