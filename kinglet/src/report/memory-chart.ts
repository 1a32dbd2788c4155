import { bytesShort, count, percent, plain, plural } from "./format.ts";
import { cssPercent, escapeHtml, htmlTable, shortName } from "./markup.ts";
import type { ReportBlock, ReportData, ReportTimeline } from "./types.ts";

/** What a hover says of a block. */
function blockText(block: ReportBlock): string {
  const steps = block.first === block.last ? `step ${block.first + 1}` : `steps ${block.first + 1} to ${block.last + 1}`;
  return `${plain(block.name, 140)}: ${block.kind}, ${count(block.bytes)} bytes at ${count(block.offset)}, ${steps}`;
}

function stepText(timeline: ReportTimeline, at: number): string {
  const step = timeline.steps[at]!;
  return `Step ${at + 1}, ${step.op} ${step.name}: ${count(step.liveBytes)} bytes in use${at === timeline.peakStep ? ", the peak" : ""}`;
}

/** Which of the fused stages a step belongs to, counted from 1; 0 for none. */
export function stageOf(timeline: ReportTimeline, step: number): number {
  return timeline.stages.findIndex(({ first, count }) => first <= step && step < first + count) + 1;
}

/** Fused stages as bands over all addresses, behind the blocks. */
function stageBands(timeline: ReportTimeline, height: number): string {
  return timeline.stages
    .map(({ first, count: steps }, i) => {
      const text = `Fused stage ${i + 1}, steps ${first + 1} to ${first + steps}: they run in turn, a row at a time`;
      return `<rect class="stage" x="${first}" y="0" width="${steps}" height="${height}"><title>${text}</title></rect>`;
    })
    .join("\n");
}

/** Blocks in steps and bytes: one unit of the drawing is one step wide and one byte high, address 0 at the bottom. */
function blockRects(timeline: ReportTimeline, height: number): string {
  return timeline.blocks
    .map((block, at) => {
      const y = height - block.offset - block.bytes;
      const text = escapeHtml(blockText(block));
      // Two shades in turn, so that neighbours in a chain of layers stay apart.
      return `<rect class="block k-${block.kind}${at % 2 === 1 ? " odd" : ""}" x="${block.first}" y="${y}" width="${block.last - block.first + 1}" height="${block.bytes}"><title>${text}</title></rect>`;
    })
    .join("\n");
}

/** What a block is called on the drawing. Names of values in files are often all alike (Relu), their operators say more. */
function labelOf(block: ReportBlock, timeline: ReportTimeline): string {
  if (block.kind === "scratch") return "scratch";
  if (block.kind === "line") return shortName(block.name);
  if (block.kind === "input" || block.kind === "state") return shortName(block.name);
  return timeline.steps[block.first]?.op ?? shortName(block.name);
}

/** Steps from a block's first until another one is drawn over it: there its name belongs. */
function clearSteps(block: ReportBlock, timeline: ReportTimeline): number {
  const over = timeline.blocks.filter(
    (other) =>
      other.first > block.first &&
      other.first <= block.last &&
      other.offset < block.offset + block.bytes &&
      block.offset < other.offset + other.bytes,
  );
  return over.reduce((least, other) => Math.min(least, other.first), block.last + 1) - block.first;
}

/** The peak step's mark above the drawing. */
function peakTag(timeline: ReportTimeline, width: number): string {
  const peak = timeline.steps[timeline.peakStep];
  if (peak === undefined) return "";
  return `<em style="left:${cssPercent(timeline.peakStep + 0.5, width)}">peak ${bytesShort(peak.liveBytes)}</em>`;
}

/** Names where there is room; text is HTML over the drawing, because the drawing stretches. */
function labels(timeline: ReportTimeline, width: number, height: number): string {
  const roomy = timeline.blocks.filter((block) => clearSteps(block, timeline) / width >= 0.045 && block.bytes / height >= 0.05);
  return roomy
    .map((block) => {
      const steps = clearSteps(block, timeline);
      const box = `left:${cssPercent(block.first, width)};width:${cssPercent(steps, width)};bottom:${cssPercent(block.offset, height)};height:${cssPercent(block.bytes, height)}`;
      const size = block.bytes / height >= 0.12 ? `<small>${bytesShort(block.bytes)}</small>` : "";
      return `<span style="${box}"><b>${escapeHtml(labelOf(block, timeline), 60)}</b>${size}</span>`;
    })
    .join("");
}

/** About five round byte counts up to `most`. */
export function ticks(most: number): number[] {
  const rough = most / 4;
  let unit = 1;
  while (unit * 2 <= rough) unit *= 2;
  const found: number[] = [];
  for (let at = 0; at <= most; at += unit) found.push(at);
  return found;
}

function yAxis(height: number): string {
  const at = (bytes: number, className: string): string =>
    `<span class="${className}" style="bottom:${cssPercent(bytes, height)}">${bytesShort(bytes)}</span>`;
  // A tick close under the top would collide with the arena's own figure.
  const kept = ticks(height).filter((bytes) => bytes < height * 0.94);
  return `<div class="y" aria-hidden="true">${kept.map((bytes) => at(bytes, "")).join("")}${at(height, "top")}</div>`;
}

function gridLines(width: number, height: number): string {
  return ticks(height)
    .map((bytes) => `<line class="grid" x1="0" x2="${width}" y1="${height - bytes}" y2="${height - bytes}"/>`)
    .join("");
}

function useBars(timeline: ReportTimeline, height: number): string {
  return timeline.steps
    .map((step, at) => {
      const className = at === timeline.peakStep ? "use peak" : "use";
      return `<rect class="${className}" x="${at + 0.08}" y="${height - step.liveBytes}" width="0.84" height="${step.liveBytes}"><title>${escapeHtml(stepText(timeline, at))}</title></rect>`;
    })
    .join("\n");
}

/** Step numbers at readable distances; operators too where there are few steps. */
function xAxis(timeline: ReportTimeline, width: number): string {
  const every = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((n) => width / n <= 24) ?? 2000;
  const shown = timeline.steps.map((step, at) => ({ step, at })).filter(({ at }) => every === 1 || (at + 1) % every === 0);
  const names = width <= 16;
  return `<div class="x" aria-hidden="true">${shown.map(({ step, at }) => `<span class="${at === timeline.peakStep ? "top" : ""}" style="left:${cssPercent(at, width)};width:${cssPercent(1, width)}">${at + 1}${names ? `<small>${escapeHtml(step.op, 24)}</small>` : ""}</span>`).join("")}</div>`;
}

const KIND_NAMES: Readonly<Record<ReportBlock["kind"], string>> = {
  input: "input",
  value: "value between layers",
  line: "line buffer: some rows of a value in a fused stage",
  output: "output",
  scratch: "working memory of one layer",
  state: "state kept between inferences",
};

function legend(timeline: ReportTimeline): string {
  const kinds = new Set(timeline.blocks.map((block) => block.kind));
  const stage = timeline.stages.length === 0 ? "" : '<li><i class="k-stage"></i>fused stage</li>';
  const items = (Object.keys(KIND_NAMES) as ReportBlock["kind"][]).filter((kind) => kinds.has(kind));
  return `<ul class="legend">${items.map((kind) => `<li><i class="k-${kind}"></i>${KIND_NAMES[kind]}</li>`).join("")}${stage}<li><i class="k-peak"></i>peak step</li></ul>`;
}

function blockTable(timeline: ReportTimeline): string {
  const rows = timeline.blocks.map((block) => [
    `<span class="name" title="${escapeHtml(block.name)}">${escapeHtml(block.name)}</span>`,
    block.kind,
    `${block.first + 1}–${block.last + 1}`,
    count(block.offset),
    count(block.bytes),
  ]);
  const columns = [
    { title: "Block" },
    { title: "Kind" },
    { title: "Steps", number: true },
    { title: "Offset", number: true },
    { title: "Bytes", number: true },
  ];
  return `<details><summary>The same as a table</summary>${htmlTable("Blocks of the arena", columns, rows)}</details>`;
}

/** The peak and how full the arena is then, in words. */
function peakSentence(timeline: ReportTimeline): string {
  const peak = timeline.steps[timeline.peakStep];
  if (peak === undefined) return "The network has no steps.";
  const full = peak.liveBytes === timeline.arenaBytes ? "the whole arena" : `${percent(peak.liveBytes, timeline.arenaBytes)} of the arena`;
  const gap = peak.liveBytes < timeline.arenaBytes ? " A block keeps its address for life, which is why the arena can be larger than that." : "";
  const stages =
    timeline.stages.length === 0
      ? ""
      : " The steps of a fused stage run in turn, a row at a time, and are drawn side by side: a line buffer keeps a few rows of a value while the stage lasts, and the bytes in use are the most at any of a step's runs.";
  return `Time runs to the right, one column a step; addresses run upwards. The most is needed at step ${timeline.peakStep + 1} (${peak.op}): ${count(peak.liveBytes)} bytes, ${full}.${gap} Where blocks lie over each other in one column, the step writes its output over an input it has already read.${stages}`;
}

/** The memory plan over time: values as blocks, the peak marked, names on hover; a strip of bytes in use below. */
export function memoryChart(data: ReportData): string {
  const { timeline } = data;
  const width = Math.max(1, timeline.steps.length);
  const height = Math.max(1, timeline.arenaBytes);
  const minWidth = Math.max(Math.min(width * 56, 620), width * 5);
  const view = `viewBox="0 0 ${width} ${height}" preserveAspectRatio="none"`;
  const label = `Memory plan: ${plural(timeline.blocks.length, "block")} over ${plural(timeline.steps.length, "step")} in an arena of ${count(timeline.arenaBytes)} bytes`;
  return `<p>${escapeHtml(peakSentence(timeline), 1000)}</p>
<figure class="memory">
${legend(timeline)}
<div class="scroll" tabindex="0" role="region" aria-label="Memory plan"><div class="plot" style="min-width:${minWidth}px">
${yAxis(height)}
<div class="area"><svg class="arena" ${view} role="img" aria-label="${escapeHtml(label)}">
<rect class="peak-column" x="${timeline.peakStep}" y="0" width="1" height="${height}"/>
${stageBands(timeline, height)}
${gridLines(width, height)}
<g>${blockRects(timeline, height)}</g>
<rect class="peak-frame" x="${timeline.peakStep}" y="0" width="1" height="${height}"/>
</svg><div class="labels" aria-hidden="true">${labels(timeline, width, height)}${peakTag(timeline, width)}</div></div>
<span class="strip-title" aria-hidden="true">in use</span>
<svg class="strip" ${view} role="img" aria-label="Bytes in use at each step">
${useBars(timeline, height)}
</svg>
${xAxis(timeline, width)}
</div></div>
<figcaption class="readout" data-rest="Point at a block or a bar to read its name, bytes and steps.">Point at a block or a bar to read its name, bytes and steps.</figcaption>
</figure>
${blockTable(timeline)}`;
}
