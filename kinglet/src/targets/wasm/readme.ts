import { shapeText } from "../../base/index.ts";
import type { Tensor } from "./tensors.ts";

function rows(role: string, tensors: readonly Tensor[]): string {
  return tensors
    .map((t, i) => `| \`${role}[${i}]\` | ${t.name.replaceAll("|", "\\|")} | ${t.dtype} | ${shapeText(t.shape)} | ${quantization(t)} |\n`)
    .join("");
}

function quantization(tensor: Tensor): string {
  return tensor.scale === undefined ? "" : `(q - ${tensor.zeroPoint ?? 0}) × ${tensor.scale}`;
}

export function readmeText(
  name: string,
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
  { relaxed, dots, threads }: { relaxed: boolean; dots: boolean; threads: boolean },
): string {
  const args = inputs.map((tensor) => `new ${tensor.array}(${tensor.length})`).join(", ");
  return `# ${name}

A neural network as one WebAssembly module with its weights inside. Keep the files together; nothing else is needed.
${relaxed ? `\nEngines with relaxed SIMD load \`${name}.relaxed.wasm\` instead: faster, with results that may differ in the last bits.\n` : ""}${dots ? `\nEngines that multiply bytes four at a time load \`${name}.dots.wasm\` instead: faster, with the same results.\n` : ""}${threads ? `\n\`load(undefined, { threads: 2 })\` shares every layer between the caller and a worker. It needs \`SharedArrayBuffer\`, in pages\nthat is cross-origin isolation; \`model.close()\` ends the workers.\n` : ""}
\`\`\`js
import { load } from "./${name}.js";

const model = await load();
const outputs = model.run(${args});
\`\`\`

Or write into \`model.inputs[i].data\` and call \`model.run()\` without arguments. Outputs are views of the model's
memory: copy them (\`.slice()\`) to keep them beyond the next run. \`model.reset()\` puts the state, if the network
has any, back to its beginning. \`load\` also takes a URL, a \`Response\`, bytes or a \`WebAssembly.Module\`.

| Tensor | Name | Type | Shape | Real value |
| --- | --- | --- | --- | --- |
${rows("inputs", inputs)}${rows("outputs", outputs)}`;
}
