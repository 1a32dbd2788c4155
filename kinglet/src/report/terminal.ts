import { boardRule, factsOf, freeOn, summaryOf } from "./facts.ts";
import { bytesShort, count, idealShare, percent, plain, quantizationText, shapeOf } from "./format.ts";
import { stageOf } from "./memory-chart.ts";
import { formatTable } from "./table.ts";
import type { ReportCheck, ReportData, ReportPort } from "./types.ts";

/** Widest bar of the memory table, in letters. */
const BAR = 24;

function portLine(label: string, port: ReportPort): string {
  const q = port.quantization === undefined ? "" : `, ${quantizationText(port.quantization)}`;
  return `${label}  ${plain(port.name, 40)}: ${port.dtype} [${port.shape.join(", ")}], ${count(port.bytes)} bytes${q}`;
}

/** What the network is: name, ports, one sentence. */
export function networkText(data: ReportData): string {
  const title = data.file === undefined ? plain(data.network) : `${plain(data.network)} (${plain(data.file)})`;
  return [title, summaryOf(data), ...data.inputs.map((port) => portLine("in ", port)), ...data.outputs.map((port) => portLine("out", port))].join(
    "\n",
  );
}

/** The key figures and where each comes from. */
export function figuresText(data: ReportData): string {
  const rows = factsOf(data).map((fact) => [fact.label, fact.value, fact.detail, fact.how]);
  return formatTable([{ title: "Figure" }, { title: "Value", align: "right" }, { title: "In full" }, { title: "How" }], rows);
}

/** A layer a row: shapes, multiply-accumulates, bytes and, where they were counted, instructions. */
export function layersText(data: ReportData): string {
  const counted = data.profiledOn !== undefined;
  const total = data.layers.reduce((sum, layer) => sum + (layer.instructions ?? 0), 0);
  const rows = data.layers.map((layer) => [
    layer.step === undefined ? "–" : String(layer.step + 1),
    layer.op,
    layer.name,
    shapeOf(layer.outputShape),
    layer.outputType,
    count(layer.macs),
    count(layer.weightBytes),
    count(layer.outputBytes),
    ...(counted
      ? [layer.instructions === undefined ? "–" : count(layer.instructions), percent(layer.instructions ?? 0, total), idealShare(layer)]
      : []),
  ]);
  return formatTable(
    [
      { title: "Step", align: "right" },
      { title: "Operator" },
      { title: "Name", most: 28 },
      { title: "Output" },
      { title: "Type" },
      { title: "MACs", align: "right" },
      { title: "Weight bytes", align: "right" },
      { title: "Output bytes", align: "right" },
      ...(counted
        ? [
            { title: `Instructions (${data.profiledOn})`, align: "right" as const },
            { title: "Share", align: "right" as const },
            { title: "Of ideal", align: "right" as const },
          ]
        : []),
    ],
    rows,
  );
}

/** The memory plan: what is in the arena at each step, as bars; the peak is marked. */
export function memoryText(data: ReportData): string {
  const { steps, stages, arenaBytes, peakStep } = data.timeline;
  const fused = stages.length > 0;
  const rows = steps.map((step, at) => [
    String(at + 1),
    step.op,
    "█".repeat(Math.round((BAR * step.liveBytes) / Math.max(1, arenaBytes))),
    count(step.liveBytes),
    ...(fused ? [stageOf(data.timeline, at) === 0 ? "" : `stage ${stageOf(data.timeline, at)}`] : []),
    at === peakStep ? "peak" : "",
  ]);
  return formatTable(
    [
      { title: "Step", align: "right" },
      { title: "Operator" },
      { title: `of ${bytesShort(arenaBytes)}` },
      { title: "Bytes in use", align: "right" },
      ...(fused ? [{ title: "Fused" }] : []),
      { title: "" },
    ],
    rows,
  );
}

export function boardsText(data: ReportData): string {
  const rows = data.boards.map((board) => {
    const free = freeOn(board, data);
    const left = board.fits ? [bytesShort(free.ramBytes), bytesShort(free.flashBytes)] : ["–", "–"];
    return [board.id, board.title, board.fits ? "fits" : "no", ...left, String(board.clockMHz), board.reason ?? ""];
  });
  const table = formatTable(
    [
      { title: "Board" },
      { title: "Name" },
      { title: "Fits" },
      { title: "Free RAM", align: "right" },
      { title: "Free flash", align: "right" },
      { title: "MHz", align: "right" },
      { title: "" },
    ],
    rows,
  );
  return `${table}\n${boardRule(data)}`;
}

/** The verdict in words; silence is not success. */
export function verdictOf(check: ReportCheck): string {
  return check.equal === undefined ? "not compared" : check.equal ? "equal" : "DIFFERENT";
}

export function checksText(data: ReportData): string {
  if (data.verified.length === 0) return "Nothing was run for this report.";
  const optional = (value: number | undefined): string => (value === undefined ? "–" : count(value));
  const rows = data.verified.map((check) => [
    check.via,
    verdictOf(check),
    optional(check.instructions),
    optional(check.stackBytes),
    optional(check.codeBytes),
    check.note ?? "",
  ]);
  return formatTable(
    [
      { title: "Via" },
      { title: "Against the plain loops" },
      { title: "Instructions", align: "right" },
      { title: "Stack bytes", align: "right" },
      { title: "Code bytes", align: "right" },
      { title: "" },
    ],
    rows,
  );
}

/** The whole report for a terminal, without a line break at the end. */
export function reportText(data: ReportData): string {
  const part = (title: string, text: string): string => `${title}\n${text}`;
  return [
    networkText(data),
    figuresText(data),
    part("Layers", layersText(data)),
    part("Memory", memoryText(data)),
    part("Boards", boardsText(data)),
    part("Verified", checksText(data)),
  ].join("\n\n");
}
