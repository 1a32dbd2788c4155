import type { Command } from "commander";
import { type InspectedTensor, type Inspection, inspectGraph } from "../driver/index.ts";
import { formatTable } from "../report/index.ts";
import { bytes, count, plain, wrapped } from "./format.ts";
import { announceIfLarge, answer, type CommonOptions, type Io } from "./io.ts";
import { loadModel, type ShapeOptions, shapeOption } from "./model.ts";
import { inspectWeights } from "./weights.ts";

function tensorLine(label: string, tensor: InspectedTensor): string {
  const q = tensor.scale === undefined ? "" : `, scale ${Number(tensor.scale.toPrecision(6))}, zero point ${tensor.zeroPoint}`;
  return `  ${label}  ${plain(tensor.name, 24)}  ${tensor.dtype} [${tensor.shape.join(",")}]${q}`;
}

function nodeTable(found: Inspection): string {
  const rows = found.nodes.map((node, i) => [
    String(i),
    node.op,
    `${node.outputType} [${node.outputShape.join(",")}]`,
    count(node.macs),
    count(node.weightBytes),
    count(node.outputBytes),
  ]);
  return formatTable(
    [
      { title: "#", align: "right" },
      { title: "Operator", most: 20 },
      { title: "Output", most: 24 },
      { title: "MACs", align: "right" },
      { title: "Weights", align: "right" },
      { title: "Output B", align: "right" },
    ],
    rows,
  );
}

/** One figure, or two where kernels for the DSP extension need another amount. */
export function memoryFigure(portable: number, dsp: number): string {
  return portable === dsp ? bytes(portable) : `${bytes(portable)}; ${count(dsp)} on cores with the DSP extension`;
}

function boardsText(found: Inspection): string {
  const ids = (fits: boolean): string[] => found.boards.filter((board) => board.fits === fits).map((board) => board.id);
  const [yes, no] = [ids(true), ids(false)];
  const lines = [`Fits ${yes.length} of ${found.boards.length} boards by arena and weights; code and stack come on top`];
  if (yes.length > 0) lines.push(wrapped(yes, "  "));
  if (no.length > 0) lines.push("Too small", wrapped(no, "  "));
  return lines.join("\n");
}

function metadataText(found: Inspection): string[] {
  const entries = Object.entries(found.metadata);
  if (entries.length === 0) return [];
  return ["", "In the file", ...entries.map(([key, text]) => `  ${plain(key, 28)}: ${plain(text.replaceAll("\n", " "), 46)}`)];
}

function inspectText(found: Inspection): string {
  const operators = Object.entries(found.operators).map(([op, n]) => `${op} ×${n}`);
  return [
    plain(found.name),
    ...found.inputs.map((each) => tensorLine("in ", each)),
    ...found.outputs.map((each) => tensorLine("out", each)),
    "",
    `  parameters   ${count(found.parameters)}`,
    `  MACs         ${count(found.macs)}`,
    `  arena (RAM)  ${memoryFigure(found.arenaBytes, found.arenaBytesDsp)}`,
    `  weights      ${memoryFigure(found.weightBytes, found.weightBytesDsp)}`,
    "  operators",
    wrapped(operators, "    "),
    "",
    nodeTable(found),
    "",
    boardsText(found),
    ...metadataText(found),
  ].join("\n");
}

export function addInspect(program: Command, io: Io): void {
  program
    .command("inspect")
    .description("What a network is, the exact memory it needs, and which boards it fits; or the tensors in a file of weights.")
    .argument("<model>", "a .tflite, .onnx or .kinglet file, or weights: .safetensors, .h5, .keras, .mlpackage")
    .addOption(shapeOption())
    .option("--json", "one JSON document on stdout")
    .addHelpText("after", "\nExamples:\n  kinglet inspect model.tflite\n  kinglet inspect model.tflite --json\n  kinglet inspect weights.safetensors")
    .action(async (path: string, options: CommonOptions & ShapeOptions) => {
      if (await inspectWeights(path, options, io)) return;
      const { graph, bytes: size } = await loadModel(path, options);
      announceIfLarge(io, size, `planning ${path}`);
      const { inspection } = inspectGraph(graph);
      answer(io, options, { model: path, ...inspection }, () => inspectText(inspection));
    });
}
