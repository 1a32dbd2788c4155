import { dotProbe, relaxedProbe } from "../../loops/index.ts";
import type { Tensor } from "./tensors.ts";
import { type SharedMemory, threadsText } from "./threads.ts";

/** The name of the module that multiplies bytes four at a time, and of the function by which it is known. */
export const DOTS = "dots";

/** What a package has beside its module. */
export interface LoaderParts {
  readonly relaxed: boolean;
  /** The tensors of the module with dot products of bytes, which lie elsewhere in its memory. */
  readonly dots?: { readonly inputs: readonly Tensor[]; readonly outputs: readonly Tensor[] } | undefined;
  readonly threads?: SharedMemory | undefined;
}

function table(tensors: readonly Tensor[], others: readonly Tensor[] | undefined): string {
  const rows = tensors.map(({ array, length, offset, ...told }, i) => {
    const addresses = others === undefined ? [offset] : [offset, others[i]!.offset];
    return `  [${[JSON.stringify(told), array, length, ...addresses].join(", ")}],\n`;
  });
  return `[\n${rows.join("")}]`;
}

function relaxedText(): string {
  return `// A module with one relaxed multiply-add: engines that know it take the module that uses it.
const RELAXED = WebAssembly.validate(Uint8Array.of(${relaxedProbe().join(", ")}));

`;
}

/** Products that only one of the ways open to an engine gives: bytes signed and unsigned, and sums that do not stop at 16 bits. */
const TELLING = "[[-128, 255], [-128, 128], [-1, 255], [1, 255], [127, 128], [127, 255]]";

function dotsText(): string {
  return `// True where this engine's relaxed dot product gives exact sums of unsigned times signed bytes: its standard leaves that open.
const DOTS = (() => {
  const bytes = Uint8Array.of(${dotProbe().join(", ")});
  if (!WebAssembly.validate(bytes)) return false;
  const { probe } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
  return ${TELLING}.every(([w, x]) => probe(w, x) === 4 * w * x);
})();

`;
}

/**
 * The loader: one file for Node and browsers, without dependencies. Everything that it must know about the
 * tensors is written into it, so that loading is one `WebAssembly.instantiate`.
 */
export function loaderText(name: string, inputs: readonly Tensor[], outputs: readonly Tensor[], { relaxed, dots, threads }: LoaderParts): string {
  // Bundlers look for addresses written out like these.
  const address = (file: string): string => `new URL("./${file}", import.meta.url)`;
  const plain = relaxed ? `RELAXED ? ${address(`${name}.relaxed.wasm`)} : ${address(`${name}.wasm`)}` : address(`${name}.wasm`);
  const module = dots === undefined ? plain : `DOTS ? ${address(`${name}.${DOTS}.wasm`)} : ${plain}`;
  const probes = `${relaxed ? relaxedText() : ""}${dots === undefined ? "" : dotsText()}`;
  const shared = threads === undefined ? "" : threadsText(name, threads);
  const options = threads === undefined ? "" : ", { threads = 1 } = {}";
  const addresses =
    dots === undefined ? "address in the module's memory" : "address in the module's memory, and in that of the module with dot products";
  const [which, choice] = dots === undefined ? ["", "address"] : [", dots", "dots ? other : address"];
  return `// Loads ${name}.wasm. Written by Kinglet. Works in browsers and in Node 20 or later.

// [description, class of the data, number of elements, ${addresses}]
const INPUTS = ${table(inputs, dots?.inputs)};
const OUTPUTS = ${table(outputs, dots?.outputs)};

${probes}${shared}/** Gives what WebAssembly.instantiate takes: bytes or a module. */
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

function tensorsOf(rows, memory${which}) {
  return Object.freeze(rows.map(([told, TypedArray, length, address${dots === undefined ? "" : ", other"}]) =>
    Object.freeze({ ...told, data: new TypedArray(memory.buffer, ${choice}, length) })));
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

function modelOf({ memory, init, run${which}${threads === undefined ? "" : ", close"} }) {
  init();
  const inputs = tensorsOf(INPUTS, memory${which});
  const outputs = tensorsOf(OUTPUTS, memory${which});
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
