import { relaxedProbe } from "../../loops/index.ts";
import type { Tensor } from "./tensors.ts";
import { type SharedMemory, threadsText } from "./threads.ts";

function table(tensors: readonly Tensor[]): string {
  const rows = tensors.map(({ array, length, offset, ...told }) => `  [${JSON.stringify(told)}, ${array}, ${length}, ${offset}],\n`);
  return `[\n${rows.join("")}]`;
}

function probeText(): string {
  return `// A module with one relaxed multiply-add: engines that know it take the module that uses it.
const RELAXED = WebAssembly.validate(Uint8Array.of(${relaxedProbe().join(", ")}));

`;
}

/**
 * The loader: one file for Node and browsers, without dependencies. Everything that it must know about the
 * tensors is written into it, so that loading is one `WebAssembly.instantiate`.
 */
export function loaderText(name: string, inputs: readonly Tensor[], outputs: readonly Tensor[], relaxed: boolean, threads?: SharedMemory): string {
  // Bundlers look for addresses written out like these.
  const address = (file: string): string => `new URL("./${file}", import.meta.url)`;
  const module = relaxed ? `RELAXED ? ${address(`${name}.relaxed.wasm`)} : ${address(`${name}.wasm`)}` : address(`${name}.wasm`);
  const shared = threads === undefined ? "" : threadsText(name, threads);
  const options = threads === undefined ? "" : ", { threads = 1 } = {}";
  return `// Loads ${name}.wasm. Written by Kinglet. Works in browsers and in Node 20 or later.

// [description, class of the data, number of elements, address in the module's memory]
const INPUTS = ${table(inputs)};
const OUTPUTS = ${table(outputs)};

${relaxed ? probeText() : ""}${shared}/** Gives what WebAssembly.instantiate takes: bytes or a module. */
async function contentOf(source) {
  if (source instanceof URL) {
    if (source.protocol === "file:") {
      const { readFile } = await import(/* webpackIgnore: true */ /* @vite-ignore */ "node:fs/promises");
      return readFile(source);
    }
    return contentOf(await fetch(source));
  }
  if (typeof source?.arrayBuffer !== "function") return source;
  if (source.ok === false) throw new Error(\`\${source.url || "the model"}: HTTP status \${source.status}\`);
  return source.arrayBuffer();
}

function tensorsOf(rows, memory) {
  return Object.freeze(rows.map(([told, TypedArray, length, address]) =>
    Object.freeze({ ...told, data: new TypedArray(memory.buffer, address, length) })));
}

function check({ name, data }, given) {
  const wanted = data[Symbol.toStringTag];
  if (!ArrayBuffer.isView(given) || given[Symbol.toStringTag] !== wanted) {
    throw new TypeError(\`input "\${name}" must be of type \${wanted}, with \${data.length} elements\`);
  }
  if (given.length !== data.length) {
    throw new RangeError(\`input "\${name}" takes \${data.length} elements, not \${given.length}\`);
  }
}

/** Copies all inputs, or none where one does not fit. */
function fill(inputs, arrays) {
  if (arrays.length !== inputs.length) {
    throw new TypeError(\`run() takes no arrays or all of \${inputs.map(({ name }) => \`"\${name}"\`).join(", ")}; it got \${arrays.length}\`);
  }
  inputs.forEach((input, i) => check(input, arrays[i]));
  inputs.forEach(({ data }, i) => data.set(arrays[i]));
}

export async function load(source = ${module}${options}) {
${threads === undefined ? "" : "  if (threads > 1) return modelOf(await loadShared(threads));\n"}  const made = await WebAssembly.instantiate(await contentOf(source));
  return modelOf((made.instance ?? made).exports);
}

function modelOf({ memory, init, run${threads === undefined ? "" : ", close"} }) {
  init();
  const inputs = tensorsOf(INPUTS, memory);
  const outputs = tensorsOf(OUTPUTS, memory);
  const results = outputs.map(({ data }) => data);
  return Object.freeze({
    inputs,
    outputs,
    run(...arrays) {
      if (arrays.length > 0) fill(inputs, arrays);
      run();
      return results.slice();
    },
    reset() {
      init();
    },
${threads === undefined ? "" : "    close() {\n      close?.();\n    },\n"}  });
}
`;
}
