import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { unzipSync } from "fflate";
import { elementCount, fromBytes, type TypedArray } from "../../kinglet/src/base/index.ts";
import { seededSample } from "../../kinglet/src/driver/index.ts";
import { readModel, writeTflite } from "../../kinglet/src/formats/index.ts";
import type { Graph, Value } from "../../kinglet/src/graph/index.ts";
import { ZOO } from "../../kinglet/src/zoo/index.ts";
import { SHARED } from "../subjects.ts";

/** A network that every engine runs: the same layers and weights, in the form that each takes. */
export interface JsSubject {
  readonly model: string;
  readonly precision: "int8" | "float32";
  readonly graph: Graph;
  readonly tflite: Uint8Array;
  readonly input: TypedArray;
}

/** Files of the development data: a path, or a zip and the path inside it. */
const FILES: Readonly<Record<string, string | readonly [zip: string, path: string]>> = {
  kws: "golden/kws/model.tflite",
  vww96: "golden/vww96/model.tflite",
  resnet8: "golden/resnet8/model.tflite",
  ad01: "golden/ad01/model.tflite",
  kws_hybrid: ["data/mlperf-tiny/reference-models.zip", "keyword_spotting/kws_ref_model_float32.tflite"],
  vww96_float: "golden/mlperf_vww_96_float/model.tflite",
  resnet8_float: "golden/mlperf_pretrainedResnet/model.tflite",
  ad01_float: "golden/mlperf_ad01_fp32/model.tflite",
};
const NETWORKS = [
  "mobilenet_v1_0.25_128",
  "mobilenet_v2_1.0_224",
  "mobilenet_v1_0.25_128_float",
  "mobilenet_v2_1.0_224_float",
  "mobilenet_v1_1.0_224_float",
];

export const JS_MODELS: readonly string[] = [...Object.keys(FILES), "kws_float", ...NETWORKS];

function fileOf(model: string): Uint8Array | null {
  const place = FILES[model]!;
  const [path, inside] = typeof place === "string" ? [place] : place;
  const full = join(SHARED, path);
  if (!existsSync(full)) return null;
  const bytes = readFileSync(full);
  return inside === undefined ? bytes : (unzipSync(bytes, { filter: ({ name }) => name === inside })[inside] ?? null);
}

function subjectOf(model: string, graph: Graph, tflite: Uint8Array): JsSubject {
  const precision = graph.inputs[0]!.dtype as "int8" | "float32";
  return { model, precision, graph, tflite, input: fromBytes(precision, seededSample(graph, 1)[0]!) };
}

/** The same network with its int8 weights as real numbers: the published "float" keyword spotter holds int8 weights. */
function withFloatWeights(graph: Graph): Graph {
  const real = (value: Value): Value => {
    if (value.dtype !== "int8" || value.data === undefined) return value;
    const { scales, axis } = value.quantization!;
    const inner = elementCount(value.shape.slice(axis + 1));
    const data = Float32Array.from(value.data as Int8Array, (w, i) => w * scales[scales.length === 1 ? 0 : Math.floor(i / inner) % scales.length]!);
    return { id: value.id, name: value.name, dtype: "float32", shape: value.shape, data };
  };
  const values = graph.values.map(real);
  const same = (value: Value | null): Value | null => value && values[value.id]!;
  return { ...graph, values, nodes: graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map(same) })) };
}

/** The subject of a name, or null where its file is development data that is not here. */
export function jsSubject(model: string): JsSubject | null {
  if (ZOO[model] !== undefined) {
    const graph = ZOO[model]();
    return subjectOf(model, graph, writeTflite(graph));
  }
  const bytes = fileOf(model === "kws_float" ? "kws_hybrid" : model);
  if (model === "kws_float" && bytes !== null) {
    const graph = withFloatWeights(readModel(bytes, model));
    return subjectOf(model, graph, writeTflite(graph));
  }
  return bytes === null ? null : subjectOf(model, readModel(bytes, model), bytes);
}
