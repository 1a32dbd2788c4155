// Runs in a browser: the engines behind one face, and their interleaved timing by the clock on the wall.

// Addresses of the page's server, not of files beside this one.
const [KINGLET, LITERT] = ["/network.js", "/peers/@litertjs/core/dist/index.js"];

async function kinglet() {
  const { load } = await import(KINGLET);
  const network = await load();
  return (input) => network.run(input)[0];
}

function script(path) {
  return new Promise((resolve, reject) => {
    const tag = Object.assign(document.createElement("script"), { src: path, onload: resolve, onerror: reject });
    document.head.append(tag);
  });
}

const bytesAt = async (path) => new Uint8Array(await (await fetch(path)).arrayBuffer());

async function tfjsTflite() {
  const folder = "/peers/@tensorflow/tfjs-tflite/wasm/";
  await script(`${folder}tflite_web_api_cc_simd.js`);
  const module = await globalThis.tflite_web_api_ModuleFactory({ locateFile: (name) => folder + name, printErr: () => {} });
  const bytes = await bytesAt("/model.tflite");
  const at = module._malloc(bytes.length);
  module.HEAPU8.set(bytes, at);
  const options = { numThreads: 1, enableProfiling: false, maxProfilingBufferEntries: 1024 };
  const made = module.TFLiteWebModelRunner.CreateFromBufferAndOptions(at, bytes.length, options);
  if (!made.ok()) throw new Error(made.errorMessage());
  const runner = made.value();
  const [input, output] = [runner.GetInputs().get(0), runner.GetOutputs().get(0)];
  return (given) => {
    input.data().set(given);
    runner.Infer();
    return output.data();
  };
}

async function litert(shape) {
  const { loadAndCompile, loadLiteRt, Tensor } = await import(LITERT);
  await loadLiteRt("/peers/@litertjs/core/wasm/", { threads: false });
  const model = await loadAndCompile("/model.tflite", { accelerator: "wasm" });
  return async (given) => {
    const input = new Tensor(given, shape);
    const [output] = await model.run(input);
    const result = output.toTypedArray().slice();
    input.delete();
    output.delete();
    return result;
  };
}

async function ceiling(precision, path) {
  const { instance } = await WebAssembly.instantiateStreaming(fetch(path));
  const { memory, run } = instance.exports;
  const all = new (precision === "int8" ? Int16Array : Float32Array)(memory.buffer);
  all.forEach((_, i) => {
    all[i] = precision === "int8" ? (i % 251) - 125 : ((i % 251) - 125) / 128;
  });
  return () => run();
}

async function slice(run, input, repeats) {
  const start = performance.now();
  for (let i = 0; i < repeats; i++) {
    const result = run(input);
    if (result instanceof Promise) await result;
  }
  return (performance.now() - start) / repeats;
}

async function warmUp(run, input, ms) {
  const end = performance.now() + ms;
  let last = 0;
  do last = await slice(run, input, 3);
  while (performance.now() < end);
  return last;
}

function quantile(numbers, q) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * q)];
}

/**
 * @param {{ precision: string, shape: number[], input: number[], rounds: number, budgetMs: number }} job
 * @returns for each engine the tenth percentile and the median in ms, and its first result; or why it did not run
 */
export async function measure({ precision, shape, input, rounds, budgetMs }) {
  const given = (precision === "int8" ? Int8Array : Float32Array).from(input);
  const makers = { kinglet, "tfjs-tflite": tfjsTflite, litert: () => litert(shape) };
  for (const name of ["baseline", "relaxed"]) makers[name] = () => ceiling(precision, `/${name}.wasm`);
  const engines = [];
  const failures = {};
  for (const [name, make] of Object.entries(makers)) {
    try {
      const run = await make();
      const first = Array.from((await run(given)) ?? []);
      engines.push({ name, run, first, taken: [], repeats: Math.max(1, Math.floor(3 / (await warmUp(run, given, 500)))) });
    } catch (error) {
      failures[name] = String(error);
    }
  }
  const start = performance.now();
  for (let round = 0; round < rounds && (round < 12 || performance.now() - start < budgetMs); round++)
    for (const { run, taken, repeats } of engines) taken.push(await slice(run, given, repeats));
  const times = engines.map(({ name, taken, first }) => [name, { p10Ms: quantile(taken, 0.1), medianMs: quantile(taken, 0.5), first }]);
  return { engines: Object.fromEntries(times), failures, isolated: globalThis.crossOriginIsolated };
}
