// The engines that are compared, each behind one small face. Plain JavaScript, so that a fresh process starts them
// without a compiler's own start in the figure.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** @param {string} peers the folder whose node_modules holds the peers */
const requireFrom = (peers) => createRequire(join(peers, "package.json"));

/** The packaged module through its loader: what a page would run. `model` is the loader's path. */
async function kinglet(_peers, model) {
  const { load } = await import(pathToFileURL(model).href);
  const network = await load(await readFile(model.replace(/\.js$/, ".wasm")));
  return { run: (input) => network.run(input)[0] };
}

/**
 * TensorFlow Lite for the web, its engine driven directly, one thread, in a WebAssembly instance of its own.
 * @param {Uint8Array} bytes of a .tflite file
 */
export async function openTflite(peers, bytes) {
  const glue = requireFrom(peers).resolve("@tensorflow/tfjs-tflite/wasm/tflite_web_api_cc_simd.js");
  const wasmBinary = await readFile(glue.replace(/\.js$/, ".wasm"));
  const complaints = [];
  const module = await requireFrom(peers)(glue)({ wasmBinary, printErr: (line) => complaints.push(line) });
  const at = module._malloc(bytes.length);
  module.HEAPU8.set(bytes, at);
  const options = { numThreads: 1, enableProfiling: false, maxProfilingBufferEntries: 1024 };
  const made = module.TFLiteWebModelRunner.CreateFromBufferAndOptions(at, bytes.length, options);
  if (!made.ok()) throw new Error(`tfjs-tflite: ${made.errorMessage()} ${complaints.join("; ")}`);
  const runner = made.value();
  const list = (tensors) => Array.from({ length: tensors.size() }, (_, i) => tensors.get(i));
  return {
    inputs: () => list(runner.GetInputs()),
    outputs: () => list(runner.GetOutputs()),
    infer() {
      if (!runner.Infer()) throw new Error(`tfjs-tflite: ${complaints.at(-1) ?? "the model does not run"}`);
    },
  };
}

/** `model` is a .tflite file. */
async function tfjsTflite(peers, model) {
  const network = await openTflite(peers, await readFile(model));
  const [[input], [output]] = [network.inputs(), network.outputs()];
  return {
    run(given) {
      input.data().set(given);
      network.infer();
      return output.data();
    },
  };
}

const ERRORS_ONLY = 3;

/** ONNX Runtime itself, as native code on one thread, as it is meant to be used. */
async function onnxSession(ort, bytes) {
  return await ort.InferenceSession.create(bytes, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    graphOptimizationLevel: "all",
    logSeverityLevel: ERRORS_ONLY,
  });
}

/**
 * A model in ONNX Runtime: its outputs in their order.
 * @param {Uint8Array} bytes of an .onnx file
 */
export async function openOnnx(peers, bytes) {
  const ort = requireFrom(peers)("onnxruntime-node");
  const session = await onnxSession(ort, bytes);
  return {
    async run(inputs) {
      const feeds = inputs.map(({ dtype, data, shape }, i) => [session.inputNames[i], new ort.Tensor(dtype, data, shape)]);
      const outputs = await session.run(Object.fromEntries(feeds));
      return session.outputNames.map((name) => outputs[name].data);
    },
  };
}

/**
 * A model in ONNX Runtime: its outputs by name, for inputs of the shapes that it has itself.
 * @param {Uint8Array} bytes of an .onnx file
 */
export async function openOnnxNamed(peers, bytes) {
  const ort = requireFrom(peers)("onnxruntime-node");
  const session = await onnxSession(ort, bytes);
  const { inputNames, inputMetadata } = session;
  const tensor = (data, i) => new ort.Tensor(inputMetadata[i].type, data, inputMetadata[i].shape);
  return { run: (inputs) => session.run(Object.fromEntries(inputNames.map((name, i) => [name, tensor(inputs[i], i)]))) };
}

async function onnxRuntime(ort, model, options) {
  const session = await ort.InferenceSession.create(await readFile(model), {
    ...options,
    graphOptimizationLevel: "all",
    logSeverityLevel: ERRORS_ONLY,
  });
  const [{ type, shape }] = session.inputMetadata;
  const [name, result] = [session.inputNames[0], session.outputNames[0]];
  return {
    async run(input) {
      const outputs = await session.run({ [name]: new ort.Tensor(type, input, shape) });
      return outputs[result].data;
    },
  };
}

/** ONNX Runtime as WebAssembly, one thread. `model` is an .onnx file. */
async function onnxruntimeWeb(peers, model) {
  const ort = requireFrom(peers)("onnxruntime-web");
  ort.env.wasm.numThreads = 1;
  return onnxRuntime(ort, model, { executionProviders: ["wasm"] });
}

/** ONNX Runtime as native code, one thread: what the processor can do outside WebAssembly. */
async function onnxruntimeNode(peers, model) {
  const ort = requireFrom(peers)("onnxruntime-node");
  return onnxRuntime(ort, model, { intraOpNumThreads: 1, interOpNumThreads: 1 });
}

export const ENGINES = {
  kinglet: { format: "js", native: false, open: kinglet },
  "tfjs-tflite": { format: "tflite", native: false, open: tfjsTflite },
  "onnxruntime-web": { format: "onnx", native: false, open: onnxruntimeWeb },
  "onnxruntime-node": { format: "onnx", native: true, open: onnxruntimeNode },
};
