import { createRequire } from "node:module";
import { join } from "node:path";
import { bytesOf, fromBytes, Xorshift32 } from "../../kinglet/src/base/index.ts";
import { execute, type Via } from "../../kinglet/src/driver/index.ts";
import { readModel } from "../../kinglet/src/formats/index.ts";
import { type ClassicalModel, FAMILIES, SAMPLES } from "./classical-models.ts";

/** Random classical models of one family, in Kinglet and in ONNX Runtime. */
export interface ClassicalChecked {
  readonly family: string;
  readonly models: number;
  /** The largest difference of a number that is not wrong, relative to max(1, |x|). */
  readonly float: number;
  /** Classes that differ, and numbers that lie further apart than `MOST_FLOAT`. */
  readonly wrong: number;
  readonly values: number;
  /** The seeds of models with such. */
  readonly seeds: readonly number[];
}

const WAYS: readonly Via[] = ["js", "wasm"];
const MOST_FLOAT = 1e-4;

type Column = readonly (number | string)[];

interface OrtSession {
  run(feeds: Readonly<Record<string, unknown>>, fetches: readonly string[]): Promise<Record<string, { data: ArrayLike<number | bigint | string> }>>;
}

interface Ort {
  readonly InferenceSession: { create(bytes: Uint8Array, options: object): Promise<OrtSession> };
  readonly Tensor: new (type: string, data: Float32Array, dims: readonly number[]) => unknown;
}

const ERRORS_ONLY = 3;

async function runOrt(ort: Ort, model: ClassicalModel): Promise<Column[]> {
  const session = await ort.InferenceSession.create(model.bytes, { logSeverityLevel: ERRORS_ONLY, intraOpNumThreads: 1 });
  const results = await session.run({ x: new ort.Tensor("float32", model.data, [SAMPLES, model.features]) }, model.outputs);
  return model.outputs.map((name) => Array.from(results[name]!.data, (value) => (typeof value === "bigint" ? Number(value) : value)));
}

/** What stands at a place of an output: where classes are strings, the network gives their positions. */
async function runKinglet(model: ClassicalModel, via: Via): Promise<{ columns: number[][]; labels: readonly string[] }> {
  const graph = readModel(model.bytes, "classical", { shapeOf: () => [SAMPLES, model.features] });
  const run = await execute(graph, via, [[bytesOf(model.data)]]);
  const columns = graph.outputs.map(({ dtype }, i) => Array.from(fromBytes(dtype, run.outputs[0]![i]!) as ArrayLike<number | bigint>, Number));
  return { columns, labels: (graph.metadata["labels"] ?? "").split("\n") };
}

class Tally {
  float = 0;
  wrong = 0;
  values = 0;

  add(got: number, wanted: number | string, labels: readonly string[]): void {
    this.values++;
    const isClass = typeof wanted === "string";
    const right = isClass ? labels.indexOf(wanted) : wanted;
    if (Object.is(got, right) || got === right) return;
    const difference = Math.abs(got - right) / Math.max(1, Math.abs(right));
    if (isClass || !(difference <= MOST_FLOAT)) this.wrong++;
    else this.float = Math.max(this.float, difference);
  }
}

async function checkFamily(ort: Ort, family: string, models: number): Promise<ClassicalChecked> {
  const [tally, seeds] = [new Tally(), [] as number[]];
  for (let seed = 1; seed <= models; seed++) {
    const model = FAMILIES[family]!(new Xorshift32(seed * 7919));
    const wanted = await runOrt(ort, model);
    const before = tally.wrong;
    for (const via of WAYS) {
      const { columns, labels } = await runKinglet(model, via);
      wanted.forEach((column, i) => column.forEach((value, k) => tally.add(columns[i]![k]!, value, labels)));
    }
    if (tally.wrong > before) seeds.push(seed);
  }
  const { float, wrong, values } = tally;
  return { family, models, float, wrong, values, seeds };
}

/** `models` random ones of every family whose name `wants` says yes to. */
export async function checkClassical(peers: string, models: number, wants: (family: string) => boolean): Promise<ClassicalChecked[]> {
  const ort = createRequire(join(peers, "package.json"))("onnxruntime-node") as Ort;
  const checked: ClassicalChecked[] = [];
  for (const family of Object.keys(FAMILIES).filter(wants)) checked.push(await checkFamily(ort, family, models));
  return checked;
}
