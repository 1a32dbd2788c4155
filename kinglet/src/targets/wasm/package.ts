import { KingletError } from "../../base/index.ts";
import { type Placement, printWasm, type Program, usesRelaxed, wasmLayout } from "../../loops/index.ts";
import { declarationsText } from "./declarations.ts";
import { DOTS, loaderText } from "./loader.ts";
import { readmeText } from "./readme.ts";
import { describeTensors } from "./tensors.ts";
import { workerText } from "./threads.ts";

export interface WasmPackageOptions {
  /** Adds a module and a worker's script for several threads; inputs and outputs of steps must not overlap. */
  readonly threads?: boolean;
  /** The same network by dot products of bytes, for engines that have them. */
  readonly dots?: { readonly program: Program; readonly plan: Placement } | undefined;
}

/**
 * The files of a WebAssembly package by name: the module, its loader, the loader's types, and how to use
 * them. Networks of floats have a second module beside it, for engines with relaxed SIMD.
 */
export function packageWasm(
  program: Program,
  placement: Placement,
  name: string,
  { threads = false, dots }: WasmPackageOptions = {},
): Map<string, Uint8Array | string> {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(name)) {
    throw new KingletError("misuse", `"${name}" cannot be a package's file name.`, { hint: "Use letters, digits, '_', '-' and '.'." });
  }
  const { buffers, pagesForThreads, control } = wasmLayout(program, placement);
  const other = dots && wasmLayout(dots.program, dots.plan);
  const inputs = describeTensors(program.inputs, buffers);
  const outputs = describeTensors(program.outputs, buffers);
  const relaxed = usesRelaxed(program);
  const files = new Map<string, Uint8Array | string>([[`${name}.wasm`, printWasm(program, placement)]]);
  if (relaxed) files.set(`${name}.relaxed.wasm`, printWasm(program, placement, { relaxed }));
  if (dots !== undefined) files.set(`${name}.${DOTS}.wasm`, printWasm(dots.program, dots.plan, { relaxed: true, mark: DOTS }));
  files.set(
    `${name}.js`,
    loaderText(name, inputs, outputs, {
      relaxed,
      dots: dots &&
        other && { inputs: describeTensors(dots.program.inputs, other.buffers), outputs: describeTensors(dots.program.outputs, other.buffers) },
      threads: threads ? { pages: pagesForThreads, control } : undefined,
    }),
  );
  if (threads) {
    files.set(`${name}.threads.wasm`, printWasm(program, placement, { threads }));
    files.set(`${name}.worker.js`, `// A thread of ${name}.js. Written by Kinglet.\n${workerText("exports.run(part, parts);")}`);
  }
  files.set(`${name}.d.ts`, declarationsText(name, inputs, outputs, threads));
  files.set("README.md", readmeText(name, inputs, outputs, { relaxed, dots: dots !== undefined, threads }));
  return files;
}
