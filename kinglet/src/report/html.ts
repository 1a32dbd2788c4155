import { summaryOf } from "./facts.ts";
import { escapeHtml, MARK } from "./markup.ts";
import { memoryChart } from "./memory-chart.ts";
import { SCRIPT } from "./script.ts";
import { boardTable, checkTable, figureCards, layerTable, metadataList, methodTable, portList } from "./sections.ts";
import { STYLE } from "./style.ts";
import type { ReportData } from "./types.ts";

function section(id: string, title: string, body: string, className = ""): string {
  return `<section${className === "" ? "" : ` class="${className}"`} aria-labelledby="${id}"><h2 id="${id}">${title}</h2>${body}</section>`;
}

function head(data: ReportData): string {
  // Nothing may be loaded, whatever a name in a file contains.
  const policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
  return `<head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${policy}"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escapeHtml(data.network, 120)} · Kinglet report</title><style>${STYLE}</style></head>`;
}

function header(data: ReportData): string {
  const file = data.file === undefined ? "" : ` of <code>${escapeHtml(data.file)}</code>`;
  const links = [
    ["figures", "Key figures"],
    ["memory", "Memory"],
    ["layers", "Layers"],
    ["boards", "Boards"],
    ["verified", "Verified"],
    ["methods", "Methods"],
  ];
  return `<header><p class="mark">${MARK}<span>Kinglet report${file}</span></p><h1>${escapeHtml(data.network, 120)}</h1><p class="lead">${escapeHtml(summaryOf(data), 1000)}</p>${portList(data)}<nav aria-label="Sections">${links.map(([id, title]) => `<a href="#${id}">${title}</a>`).join("")}</nav></header>`;
}

/** One self-contained page: no resource outside it, readable without its script, on screen and on paper. */
export function renderReport(data: ReportData): string {
  const parts = [
    section("figures", "Key figures", figureCards(data)),
    section("memory", "Memory over time", memoryChart(data)),
    section("layers", "Layers", layerTable(data), "layers"),
    section("boards", "Boards", boardTable(data)),
    section("verified", "What was verified", checkTable(data)),
    section("methods", "How each figure was obtained", methodTable(data)),
    metadataList(data),
  ];
  return `<!doctype html>
<html lang="en">
${head(data)}
<body>
${header(data)}
<main>
${parts.join("\n")}
</main>
<footer>Written by Kinglet ${escapeHtml(data.version, 40)} for the target ${escapeHtml(data.target, 40)}. This page loads nothing from elsewhere.</footer>
<script>${SCRIPT}</script>
</body>
</html>
`;
}
