import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { unzipSync } from "fflate";
import { allocate, bytesOf, crc32, type DType, dtypeBytes, elementCount, fromBytes, type TypedArray, Xorshift32 } from "../base/index.ts";
import { readModel } from "../formats/index.ts";
import type { Graph, Node, Value } from "../graph/index.ts";
import type { ProgramRunner } from "../loops/index.ts";
import { ONE_ROUNDING } from "../ops/one-rounding-testing.ts";
import { runPasses } from "../passes/index.ts";
import { placeBuffers } from "../plan/index.ts";
import { createJsRunner } from "../targets/js/index.ts";
import { lower } from "../targets/lower.ts";
import { createWasmRunner } from "../targets/wasm/index.ts";
import { compileGraph } from "./compile.ts";

interface ZooTensor {
  readonly index: number;
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** The value of every element, where it is not drawn. */
  readonly fixed?: number;
}

interface StoredTensor {
  readonly file: string;
  readonly bytes: number;
  readonly truncated?: boolean;
}

/** What another engine says about one model: types, seeds and files of results. */
export interface ZooGolden {
  readonly model: string;
  readonly archive: string;
  readonly file: string;
  readonly sha256: string;
  readonly inputs: readonly ZooTensor[];
  readonly outputs: readonly ZooTensor[];
  readonly taps?: readonly ZooTensor[];
  readonly samples: readonly {
    readonly k: number;
    readonly seed: number;
    readonly in_crc32: readonly string[];
    readonly outputs: readonly StoredTensor[];
    readonly taps?: readonly StoredTensor[];
  }[];
  readonly sequence?: {
    readonly steps: number;
    readonly seed: number;
    readonly outputs: readonly StoredTensor[];
    readonly taps?: readonly StoredTensor[];
  };
}

/** Largest differences from the stored results, over all samples and steps: of the outputs and of the taps before them. */
export interface ZooResult {
  outputs: number;
  taps: number;
}

type Numbers = ArrayLike<number | bigint>;
/** How far one tensor is from the stored one; `made` is the node whose result it is. */
export type Measure = (got: Numbers, want: Numbers, made: Node | undefined) => number;

/** The largest difference: steps of integers. */
function difference(got: Numbers, want: Numbers): number {
  let most = 0;
  for (let i = 0; i < got.length; i++) {
    const apart = Math.abs(Number(got[i]) - Number(want[i]));
    if (!(apart <= most)) most = apart;
  }
  return most;
}

/**
 * The same in shares of the tensor's largest number. A sigmoid's largest is 1: other engines compute it by a fraction of polynomials whose
 * error is a few 1e-8 whatever the result, and give 0 where it is 1e-7.
 */
export function relativeDifference(got: Numbers, want: Numbers, made: Node | undefined): number {
  const largest = Array.from<number | bigint, number>(want, (x) => Math.abs(Number(x))).reduce((a, b) => Math.max(a, b), 0);
  return difference(got, want) / (made?.op === "logistic" ? 1 : largest || 1);
}

/**
 * How many steps the quantized inputs of a network's closing softmax differ by: logarithms of its results are its inputs but for one
 * addend. A number that is no whole number tells of more than steps.
 */
export function stepsBeforeSoftmax(graph: Graph): Measure {
  const last = graph.nodes.findLast((node) => node.op === "dequantize");
  const scale = last!.inputs[0]!.quantization!.scales[0]!;
  return (got, want) => {
    const apart = Array.from<number | bigint, number>(got, (x, i) => Math.log(Number(x) / Number(want[i])) / scale);
    return Math.max(...apart) - Math.min(...apart);
  };
}

export function readZooGolden(folder: string): ZooGolden {
  return JSON.parse(readFileSync(join(folder, "golden.json"), "utf8")) as ZooGolden;
}

/** The model's file, from the archive that holds it. @param data the folder of the archives */
function readZooModel(golden: ZooGolden, data: string): Uint8Array {
  const bytes = unzipSync(readFileSync(join(data, golden.archive)), { filter: (file) => file.name === golden.file })[golden.file];
  if (bytes === undefined) throw new Error(`${golden.archive} does not hold ${golden.file}`);
  const hash = createHash("sha256").update(bytes).digest("hex");
  if (hash !== golden.sha256) throw new Error(`${golden.file} is not the file that the results were made with`);
  return bytes;
}

function drawElement(random: Xorshift32, dtype: DType): number {
  const bits = random.next();
  switch (dtype) {
    case "float32":
      return (bits >>> 8) * 2 ** -23 - 1;
    case "int8":
    case "uint8":
      return bits >>> 24;
    case "int16":
      return bits >>> 16;
    case "int32":
    case "int64":
      return bits % 16;
    case "bool":
      return bits >>> 31;
    default:
      throw new Error(`no rule for inputs of ${dtype}`);
  }
}

/** All inputs of one step, in the model's order from one stream. */
function drawInputs(golden: ZooGolden, random: Xorshift32): Uint8Array[] {
  return golden.inputs.map(({ dtype, shape, fixed }) => {
    const data = allocate(dtype, elementCount(shape));
    for (let i = 0; i < data.length; i++) {
      const element = fixed ?? drawElement(random, dtype);
      data[i] = (dtype === "int64" ? BigInt(element) : element) as never;
    }
    return bytesOf(data);
  });
}

/** Sizes are told by the stored bytes: where a dimension is open, the shape in the file is a placeholder. */
function isTap(value: Value, tap: ZooTensor, bytes: number): boolean {
  const name = tap.name === "" ? `tensor_${tap.index}` : tap.name;
  return value.name === name && value.dtype === tap.dtype && elementCount(value.shape) * dtypeBytes(value.dtype) === bytes;
}

/** The graph with the tapped tensors as outputs behind its own. */
function withTaps(graph: Graph, golden: ZooGolden): Graph {
  const produced = graph.nodes.flatMap((node) => node.outputs);
  const taps = (golden.taps ?? []).map((tap, i) => {
    const value = produced.find((candidate) => isTap(candidate, tap, golden.samples[0]!.taps![i]!.bytes));
    if (value === undefined) throw new Error(`no node gives the tensor ${tap.name}`);
    return value;
  });
  return { ...graph, outputs: [...graph.outputs, ...taps] };
}

/** Positions of the elements that a long tensor is stored by. */
function stridedIndices(length: number): number[] {
  return Array.from({ length: 4096 }, (_, j) => Math.floor((j * length) / 4096));
}

function readStored(folder: string, file: string, dtype: DType): TypedArray {
  return fromBytes(dtype, new Uint8Array(readFileSync(join(folder, file))));
}

function compareStored(
  folder: string,
  stored: StoredTensor,
  { dtype }: ZooTensor,
  bytes: Uint8Array,
  measure: (got: Numbers, want: Numbers) => number,
): number {
  const got = fromBytes(dtype, bytes);
  if (stored.bytes !== bytes.length) throw new Error(`${stored.file} is of ${stored.bytes} bytes, the result has ${bytes.length}`);
  const want = readStored(folder, stored.file, dtype);
  if (stored.truncated !== true) return measure(got, want);
  const picked = stridedIndices(bytes.length / dtypeBytes(dtype)).map((i) => got[i]!);
  const strided = readStored(folder, stored.file.replace(".bin", ".strided.bin"), dtype);
  return Math.max(measure(got.subarray(0, want.length), want), measure(picked, strided));
}

/** A back end, or the plain loops with the stored results' own rounding. */
export type ZooVia = "plain" | "js" | "wasm" | "wasm-scalar" | "one rounding";

function runnerFor(graph: Graph, via: ZooVia): ProgramRunner {
  if (via === "one rounding") {
    const program = lower(runPasses(graph), { schedules: ONE_ROUNDING });
    return createJsRunner(program, placeBuffers(program));
  }
  const { program, plan } = compileGraph(graph, { target: via });
  return via === "plain" || via === "js" ? createJsRunner(program, plan) : createWasmRunner(program, plan);
}

/** One model on one back end, compared with everything that is stored about it. */
class ZooRun {
  private readonly golden: ZooGolden;
  private readonly folder: string;
  private readonly runner: ProgramRunner;
  private readonly measure: Measure;
  private readonly makers: readonly (Node | undefined)[];
  private readonly result: ZooResult = { outputs: 0, taps: 0 };

  constructor(golden: ZooGolden, folder: string, source: Graph, via: ZooVia, measure: Measure) {
    const graph = withTaps(source, golden);
    this.golden = golden;
    this.folder = folder;
    this.measure = measure;
    this.makers = graph.outputs.map((output) => graph.nodes.find((node) => node.outputs.includes(output)));
    this.runner = runnerFor(graph, via);
  }

  all(): ZooResult {
    for (const sample of this.golden.samples) this.sample(sample);
    if (this.golden.sequence !== undefined) this.sequence(this.golden.sequence);
    return this.result;
  }

  private step(random: Xorshift32): Uint8Array[] {
    const inputs = drawInputs(this.golden, random);
    inputs.forEach((bytes, i) => this.runner.setInput(i, bytes));
    this.runner.run();
    return inputs;
  }

  private sample(sample: ZooGolden["samples"][number]): void {
    this.runner.reset();
    const inputs = this.step(new Xorshift32(sample.seed));
    inputs.forEach((bytes, i) => {
      if (crc32(bytes) !== Number.parseInt(sample.in_crc32[i]!, 16))
        throw new Error(`input ${i} of sample ${sample.k} is not the one that the results are for`);
    });
    this.compare(sample.outputs, sample.taps ?? [], (i) => this.runner.output(i));
  }

  /** Steps of one instance; the files hold each tensor of all steps one after another. */
  private sequence(sequence: NonNullable<ZooGolden["sequence"]>): void {
    this.runner.reset();
    const random = new Xorshift32(sequence.seed);
    const count = this.golden.outputs.length + (this.golden.taps ?? []).length;
    const steps = Array.from({ length: sequence.steps }, () => {
      this.step(random);
      return Array.from({ length: count }, (_, i) => this.runner.output(i));
    });
    this.compare(sequence.outputs, sequence.taps ?? [], (i) => Buffer.concat(steps.map((tensors) => tensors[i]!)));
  }

  private compare(outputs: readonly StoredTensor[], taps: readonly StoredTensor[], got: (i: number) => Uint8Array): void {
    const { golden, folder, result } = this;
    const far = (stored: StoredTensor, tensor: ZooTensor, i: number): number =>
      compareStored(folder, stored, tensor, got(i), (a, b) => this.measure(a, b, this.makers[i]));
    outputs.forEach((stored, i) => {
      result.outputs = Math.max(result.outputs, far(stored, golden.outputs[i]!, i));
    });
    taps.forEach((stored, i) => {
      result.taps = Math.max(result.taps, far(stored, golden.taps![i]!, golden.outputs.length + i));
    });
  }
}

/** The network, with shapes and contents that an ONNX file leaves open as the results have them. */
export function readZooGraph(golden: ZooGolden, data: string): Graph {
  return readModel(readZooModel(golden, data), golden.model, {
    shapeOf: (_, i) => golden.inputs[i]?.shape,
    contents: (i) => {
      const fixed = golden.inputs[i]?.fixed;
      return fixed === undefined ? undefined : BigInt64Array.of(BigInt(fixed));
    },
  });
}

/**
 * Runs every stored sample and sequence of a model, and gives the largest differences by `measure`.
 * @param folder of its results  @param data of the archives
 * @throws KingletError where the model is refused.
 */
export function runZooModel(golden: ZooGolden, folder: string, data: string, via: ZooVia, measure: Measure = difference): ZooResult {
  const graph = readZooGraph(golden, data);
  return new ZooRun(golden, folder, graph, via, measure).all();
}
