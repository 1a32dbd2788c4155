import { bytesOf, KingletError } from "../../base/index.ts";
import type { MemoryType, Placement, Port, Program } from "../../loops/index.ts";
import { printJsReset, printJsSteps, printJsViews } from "./runner.ts";

const ARRAYS: Readonly<Record<MemoryType, string>> = {
  i8: "Int8Array",
  u8: "Uint8Array",
  i16: "Int16Array",
  u16: "Uint16Array",
  i32: "Int32Array",
  i64: "BigInt64Array",
  f32: "Float32Array",
};

function viewText(port: Port, program: Program, placement: Placement): string {
  const { type, length } = program.buffers[port.buffer]!;
  const { name, dtype, shape, quantization } = port;
  return `    Object.freeze({ ...${JSON.stringify({ name, dtype, shape, ...quantization })}, data: new ${ARRAYS[type]}(arena, ${placement.offsets[port.buffer]}, ${length}) }),\n`;
}

function constantsText(program: Program): string {
  const rows = program.constants.map(({ type, data }) => `  new ${ARRAYS[type]}(decode("${Buffer.from(bytesOf(data)).toString("base64")}")),\n`);
  return `const c = [\n${rows.join("")}];\n`;
}

const DECODE = `function decode(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes.buffer;
}
`;

const CHECK = `function check({ name, data }, given) {
  const wanted = data[Symbol.toStringTag];
  if (!ArrayBuffer.isView(given) || given[Symbol.toStringTag] !== wanted) {
    throw new TypeError(\`input "\${name}" must be of type \${wanted}, with \${data.length} elements\`);
  }
  if (given.length !== data.length) {
    throw new RangeError(\`input "\${name}" takes \${data.length} elements, not \${given.length}\`);
  }
}

function fill(inputs, arrays) {
  if (arrays.length !== inputs.length) throw new TypeError(\`run() takes no arrays or all \${inputs.length} inputs; it got \${arrays.length}\`);
  inputs.forEach((input, i) => check(input, arrays[i]));
  inputs.forEach(({ data }, i) => data.set(arrays[i]));
}
`;

function moduleText(program: Program, placement: Placement): string {
  const views = (ports: readonly Port[]): string => ports.map((port) => viewText(port, program, placement)).join("");
  return `// A neural network with its weights, as plain JavaScript. Written by Kinglet.
${DECODE}
${CHECK}
${constantsText(program)}
/** Makes an instance with memory of its own. */
export async function load() {
const arena = new ArrayBuffer(${placement.arenaBytes});
${printJsViews(program, placement)}${printJsSteps(program)}${printJsReset(program)}  reset();
  const inputs = Object.freeze([
${views(program.inputs)}  ]);
  const outputs = Object.freeze([
${views(program.outputs)}  ]);
  const results = outputs.map(({ data }) => data);
  return Object.freeze({
    inputs,
    outputs,
    run(...arrays) {
      if (arrays.length > 0) fill(inputs, arrays);
      for (const step of steps) step();
      return results.slice();
    },
    reset,
  });
}
`;
}

function tensorType(port: Port, program: Program): string {
  const quantized = port.quantization === undefined ? "" : "readonly scale: number; readonly zeroPoint: number; ";
  return `\n    { readonly name: ${JSON.stringify(port.name)}; readonly dtype: "${port.dtype}"; readonly shape: readonly [${port.shape.join(", ")}]; ${quantized}readonly data: ${arrayOf(port, program)} },`;
}

function arrayOf(port: Port, program: Program): string {
  return ARRAYS[program.buffers[port.buffer]!.type];
}

function declarations(program: Program): string {
  const { inputs, outputs } = program;
  const results = outputs.map((port) => arrayOf(port, program)).join(", ");
  return `// Written by Kinglet.

export interface Model {
  /** \`data\` is a view of the model's memory: write into it, then call \`run()\`. */
  readonly inputs: readonly [${inputs.map((port) => tensorType(port, program)).join("")}
  ];
  /** \`data\` is a view of the model's memory: the next run may overwrite it. */
  readonly outputs: readonly [${outputs.map((port) => tensorType(port, program)).join("")}
  ];
  /** Runs on what the inputs hold, or on a copy of the given arrays; fill all inputs before every run. */
  run(): [${results}];
  run(${inputs.map((port, i) => `input${i}: ${arrayOf(port, program)}`).join(", ")}): [${results}];
  /** Sets the model's state, if it has any, back to its beginning. */
  reset(): void;
}

/** Makes an instance; two of them are independent. */
export function load(): Promise<Model>;
`;
}

function readme(program: Program, name: string): string {
  const args = program.inputs.map((port) => `new ${arrayOf(port, program)}(${program.buffers[port.buffer]!.length})`).join(", ");
  return `# ${name}

A neural network as one JavaScript module with its weights inside, for places without WebAssembly.

\`\`\`js
import { load } from "./${name}.js";

const model = await load();
const outputs = model.run(${args});
\`\`\`

Outputs are views of the model's memory: copy them (\`.slice()\`) to keep them beyond the next run.
`;
}

/** The files of a plain JavaScript package by name: the module, its types, and how to use it. */
export function packageJs(program: Program, placement: Placement, name: string): Map<string, string> {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(name)) {
    throw new KingletError("misuse", `"${name}" cannot be a package's file name`, { hint: "Use letters, digits, '_', '-' and '.'." });
  }
  return new Map([
    [`${name}.js`, moduleText(program, placement)],
    [`${name}.d.ts`, declarations(program)],
    ["README.md", readme(program, name)],
  ]);
}
