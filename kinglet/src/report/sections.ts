import { boardRule, factsOf, freeOn } from "./facts.ts";
import { bytesShort, count, countShort, idealShare, percent, quantizationText, shapeOf } from "./format.ts";
import { bar, escapeHtml, htmlTable } from "./markup.ts";
import { verdictOf } from "./terminal.ts";
import type { ReportBoard, ReportCheck, ReportData, ReportLayer, ReportPort, Provenance } from "./types.ts";

function badge(how: Provenance): string {
  return `<span class="badge ${how}">${how}</span>`;
}

function portItem(label: string, port: ReportPort): string {
  const q = port.quantization === undefined ? "" : ` <span class="quiet">${quantizationText(port.quantization)}</span>`;
  return `<dt>${label}</dt><dd><code>${escapeHtml(port.name, 120)}</code> ${escapeHtml(port.dtype)} ${shapeOf(port.shape)}, ${count(port.bytes)} bytes${q}</dd>`;
}

/** Inputs and outputs: what a program must fill and may read. */
export function portList(data: ReportData): string {
  return `<dl class="ports">${data.inputs.map((port) => portItem("Input", port)).join("")}${data.outputs.map((port) => portItem("Output", port)).join("")}</dl>`;
}

export function figureCards(data: ReportData): string {
  const cards = factsOf(data).map(
    (fact) =>
      `<div class="card"><dt>${fact.label} ${badge(fact.how)}</dt><dd><strong>${escapeHtml(fact.value)}</strong><span>${escapeHtml(fact.detail)}</span></dd></div>`,
  );
  return `<dl class="cards">${cards.join("")}</dl>`;
}

function idealCell(layer: ReportLayer): string {
  const ideal = layer.idealInstructions;
  if (ideal === undefined) return '<span class="quiet">–</span>';
  return `<span title="${count(ideal)} instructions">${idealShare(layer)}</span>${bar(ideal, Math.max(ideal, layer.instructions ?? 0), "instructions")}`;
}

export function layerTable(data: ReportData): string {
  const { layers } = data;
  const most = (of: (layer: (typeof layers)[number]) => number): number => layers.reduce((best, layer) => Math.max(best, of(layer)), 0);
  const [macs, weights, outputs, instructions] = [
    most((l) => l.macs),
    most((l) => l.weightBytes),
    most((l) => l.outputBytes),
    most((l) => l.instructions ?? 0),
  ];
  const counted = data.profiledOn !== undefined;
  const total = layers.reduce((sum, layer) => sum + (layer.instructions ?? 0), 0);
  const figure = (value: number, whole: number, className: string): string =>
    `${value === 0 ? '<span class="quiet">0</span>' : count(value)}${bar(value, whole, className)}`;
  const rows = layers.map((layer) => [
    `<span class="step">${layer.step === undefined ? "·" : layer.step + 1}</span><b>${escapeHtml(layer.op, 60)}</b><span class="name" title="${escapeHtml(layer.name)}">${escapeHtml(layer.name)}</span>`,
    `${shapeOf(layer.outputShape)} <span class="quiet">${escapeHtml(layer.outputType)}</span>`,
    figure(layer.macs, macs, "macs"),
    figure(layer.weightBytes, weights, "weights"),
    figure(layer.outputBytes, outputs, "outputs"),
    ...(counted
      ? [
          layer.instructions === undefined ? '<span class="quiet">–</span>' : figure(layer.instructions, instructions, "instructions"),
          `<span class="quiet">${percent(layer.instructions ?? 0, total)}</span>`,
          idealCell(layer),
        ]
      : []),
  ]);
  const columns = [
    { title: "Layer" },
    { title: "Output" },
    { title: "MACs", number: true },
    { title: "Weight bytes", number: true },
    { title: "Output bytes", number: true },
    ...(counted
      ? [
          { title: "Instructions", number: true },
          { title: "Share", number: true },
          { title: "Of ideal", number: true },
        ]
      : []),
  ];
  const note = counted
    ? `Instructions were counted on the emulated ${data.profiledOn}; ${countShort(total)} in all layers. "Of ideal" is the share of them that the arithmetic itself needs with the best known kernels for such a core.`
    : "Instructions of single layers were not counted for this report.";
  const silent = layers.some((layer) => layer.step === undefined) ? " A layer marked · only renames a tensor: no code, no bytes." : "";
  return `<p>${escapeHtml(note + silent)}</p>${htmlTable(
    "Layers in the order they run",
    columns,
    rows,
    layers.map((layer) => (layer.step === data.timeline.peakStep ? "peak-row" : "")),
  )}`;
}

function boardCells(board: ReportBoard, data: ReportData): string[] {
  const free = freeOn(board, data);
  const memory = (left: number, all: number): string =>
    `${left >= 0 ? `${bytesShort(left)} free` : `<span class="bad">${bytesShort(-left)} too few</span>`} <span class="quiet">of ${bytesShort(all)}</span>${bar(all - left, all, left >= 0 ? "used" : "over")}`;
  return [
    `<b>${escapeHtml(board.title)}</b><span class="name">${escapeHtml(board.id)} · ${escapeHtml(board.chip)}</span>`,
    board.fits
      ? '<span class="verdict good">✓ fits</span>'
      : `<span class="verdict bad" title="${escapeHtml(board.reason ?? "")}">✗ does not fit</span>`,
    memory(free.ramBytes, board.sramBytes),
    memory(free.flashBytes, board.flashBytes),
    `${Number(board.clockMHz.toFixed(1))}`,
  ];
}

/** Boards, those that fit first. */
export function boardTable(data: ReportData): string {
  const rows = [...data.boards].sort((a, b) => Number(b.fits) - Number(a.fits));
  const columns = [
    { title: "Board" },
    { title: "Verdict" },
    { title: "RAM", number: true },
    { title: "Flash", number: true },
    { title: "MHz", number: true },
  ];
  return `<p>${escapeHtml(boardRule(data), 1000)}</p>${htmlTable(
    "Boards",
    columns,
    rows.map((board) => boardCells(board, data)),
    rows.map((board) => (board.fits ? "" : "dim")),
  )}`;
}

const VIA_TEXT: Readonly<Record<string, string>> = {
  js: "JavaScript, in this process",
  wasm: "WebAssembly with SIMD",
  "wasm-dots": "WebAssembly with dot products of bytes",
  "wasm-scalar": "WebAssembly without SIMD",
  c: "C99, built and run on this machine",
  plain: "the plain loops themselves",
};

function verdictHtml(check: ReportCheck): string {
  if (check.equal === undefined) return `<span class="quiet">${verdictOf(check)}</span>`;
  return check.equal ? '<span class="verdict good">✓ equal</span>' : '<span class="verdict bad">✗ different</span>';
}

export function checkTable(data: ReportData): string {
  if (data.verified.length === 0)
    return "<p>Nothing was run for this report. <code>kinglet verify</code> runs the network every way this machine can and compares the results.</p>";
  const optional = (value: number | undefined): string => (value === undefined ? '<span class="quiet">–</span>' : count(value));
  const rows = data.verified.map((check) => {
    const emulated = check.instructions === undefined ? "" : "firmware on an emulated core";
    return [
      `<b>${escapeHtml(check.via, 60)}</b><span class="name">${VIA_TEXT[check.via] ?? emulated}</span>`,
      verdictHtml(check),
      optional(check.instructions),
      optional(check.stackBytes),
      optional(check.codeBytes),
      escapeHtml(check.note ?? ""),
    ];
  });
  const columns = [
    { title: "Way to run" },
    { title: "Result" },
    { title: "Instructions", number: true },
    { title: "Stack bytes", number: true },
    { title: "Code bytes", number: true },
    { title: "Note" },
  ];
  return `<p>Every way is compared with the plain loops, which define what each operator computes.</p>${htmlTable("Runs compared with the plain loops", columns, rows)}`;
}

/** Where every figure comes from. */
export function methodTable(data: ReportData): string {
  const rows = factsOf(data).map((fact) => [escapeHtml(fact.label), badge(fact.how), escapeHtml(fact.method, 1000)]);
  const board = [
    "Boards",
    badge("exact"),
    "Bytes needed against the memory sizes in the makers' data sheets. No speed or energy is claimed for a board.",
  ];
  return htmlTable("How each figure was obtained", [{ title: "Figure" }, { title: "Kind" }, { title: "From" }], [...rows, board]);
}

export function metadataList(data: ReportData): string {
  const entries = Object.entries(data.metadata);
  if (entries.length === 0) return "";
  return `<section><h2 id="file">Notes in the file</h2><dl class="ports">${entries.map(([key, text]) => `<dt>${escapeHtml(key, 80)}</dt><dd class="free">${escapeHtml(text, 2000)}</dd>`).join("")}</dl></section>`;
}
