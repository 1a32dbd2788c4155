import type { Tensor } from "./tensors.ts";

function tensorType(tensor: Tensor): string {
  const quantized = tensor.scale === undefined ? "" : "readonly scale: number; readonly zeroPoint: number; ";
  const shape = `readonly [${tensor.shape.join(", ")}]`;
  return `{ readonly name: ${JSON.stringify(tensor.name)}; readonly dtype: "${tensor.dtype}"; readonly shape: ${shape}; ${quantized}readonly data: ${tensor.array} }`;
}

function tensorsType(tensors: readonly Tensor[]): string {
  return `readonly [${tensors.map((tensor) => `\n    ${tensorType(tensor)},`).join("")}${tensors.length > 0 ? "\n  " : ""}]`;
}

/** A tensor's name as the name of a parameter; the index keeps names apart. */
function parameterName(tensor: Tensor, i: number, all: readonly Tensor[]): string {
  const plain = `${tensor.name.replace(/[^A-Za-z0-9]+/g, "_").replace(/^(?=\d)|^$/, "_")}`;
  return all.length === 1 ? `${plain}Data` : `${plain}Data${i}`;
}

/** Types of the loader that hold for this one model: names, shapes and array classes. */
export function declarationsText(name: string, inputs: readonly Tensor[], outputs: readonly Tensor[], threads: boolean): string {
  const results = `[${outputs.map((tensor) => tensor.array).join(", ")}]`;
  const params = inputs.map((tensor, i) => `${parameterName(tensor, i, inputs)}: ${tensor.array}`).join(", ");
  const runWith = inputs.length === 0 ? "" : `  /** Copies the inputs in and runs. */\n  run(${params}): ${results};\n`;
  return `// Types of ${name}.js. Written by Kinglet.

export interface Model {
  /** What the model reads. \`data\` is a view of the model's memory: write into it, then call \`run()\`. */
  readonly inputs: ${tensorsType(inputs)};
  /** What the model writes. \`data\` is a view of the model's memory: the next run may overwrite it. */
  readonly outputs: ${tensorsType(outputs)};
  /** Runs on what \`inputs[i].data\` hold and gives the views \`outputs[i].data\`; fill all inputs before every run. */
  run(): ${results};
${runWith}  /** Sets the model's state, if it has any, back to its beginning. */
  reset(): void;
${threads ? "  /** Ends the workers of a model that was loaded with several threads. */\n  close(): void;\n" : ""}}

/** Loads the model; without \`source\`, from ${name}.wasm beside this file. Two loaded models are independent. */
export function load(source?: URL | Response | BufferSource | WebAssembly.Module${threads ? ", options?: { readonly threads?: number }" : ""}): Promise<Model>;
`;
}
