import { KingletError } from "../../base/index.ts";
import { type Placement, printWasm, type Program, usesRelaxed, wasmLayout } from "../../loops/index.ts";
import { declarationsText } from "./declarations.ts";
import { loaderText } from "./loader.ts";
import { describeTensors } from "./tensors.ts";
import { readmeText } from "./readme.ts";
import { workerText } from "./threads.ts";

/**
 * The files of a WebAssembly package by name: the module, its loader, the loader's types, and how to use
 * them. Networks of floats have a second module beside it, for engines with relaxed SIMD.
 * @param threads adds a module and a worker's script for several threads; inputs and outputs of steps must not overlap.
 */
export function packageWasm(program: Program, placement: Placement, name: string, threads = false): Map<string, Uint8Array | string> {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(name)) {
    throw new KingletError("misuse", `"${name}" cannot be a package's file name.`, { hint: "Use letters, digits, '_', '-' and '.'." });
  }
  const { buffers, pagesForThreads, control } = wasmLayout(program, placement);
  const inputs = describeTensors(program.inputs, buffers);
  const outputs = describeTensors(program.outputs, buffers);
  const relaxed = usesRelaxed(program);
  return new Map<string, Uint8Array | string>([
    [`${name}.wasm`, printWasm(program, placement)],
    ...(relaxed ? ([[`${name}.relaxed.wasm`, printWasm(program, placement, { relaxed })]] as const) : []),
    [`${name}.js`, loaderText(name, inputs, outputs, relaxed, threads ? { pages: pagesForThreads, control } : undefined)],
    ...(threads
      ? ([
          [`${name}.threads.wasm`, printWasm(program, placement, { threads })],
          [`${name}.worker.js`, workerText(name)],
        ] as const)
      : []),
    [`${name}.d.ts`, declarationsText(name, inputs, outputs, threads)],
    ["README.md", readmeText(name, inputs, outputs, { relaxed, threads })],
  ]);
}
