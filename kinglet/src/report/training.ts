import { bytesShort, count } from "./format.ts";
import { escapeHtml, htmlTable } from "./markup.ts";
import { STYLE } from "./style.ts";
import { learningCurves, mistakeCards } from "./training-charts.ts";
import type { JudgedNetwork, TrainingReport } from "./training-types.ts";

const OWN_STYLE = `
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 380px), 1fr)); gap: 12px; }
.chart { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px 4px; }
figcaption { font-size: .9rem; color: var(--quiet); margin-bottom: .3em; }
svg text { font-size: 11px; fill: var(--quiet); font-variant-numeric: tabular-nums; }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; } .curve.train, .curve.line0 { stroke: var(--bar2); } .curve.judge, .curve.line1 { stroke: var(--bar4); } .curve.line2 { stroke: var(--accent); }
circle.train { fill: var(--bar2); } circle.judge { fill: var(--bar4); } .key.train { background: var(--bar2); } .key.judge { background: var(--bar4); }
.confusion td { text-align: center; min-width: 4.2em; } .confusion thead th { text-align: center; } .confusion thead th:first-child { text-align: left; }
.hit { background: color-mix(in srgb, var(--good) calc(var(--s) * 55%), transparent); } .miss { background: color-mix(in srgb, var(--bad) calc(var(--s) * 70%), transparent); }
.matrices { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); }
.mistakes { list-style: none; padding: 0; margin: 0; display: grid; gap: 12px; grid-template-columns: repeat(auto-fill, minmax(190px, 1fr)); }
.mistakes li { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 10px 12px; } .mistakes p { margin: .3em 0 0; font-size: .875rem; overflow-wrap: anywhere; }
.mistakes svg { width: 100%; display: block; } .mistakes .curve { stroke-width: 1; } .mistakes img { width: 100%; image-rendering: pixelated; display: block; border-radius: 4px; }
td .cell { display: block; margin: -7px -14px; padding: 7px 14px; }
`;

const percent = (share: number | null): string => (share === null ? "–" : `${(100 * share).toFixed(1)} %`);

function card(title: string, figure: string, note: string): string {
  return `<div class="card"><dt>${title}</dt><dd><strong>${figure}</strong><span>${note}</span></dd></div>`;
}

function cards({ judged, parameters, classes, judgedOn, curve }: TrainingReport): string {
  const [best] = judged;
  const each = judged.map(({ name, accuracy, samples }) =>
    card(`${escapeHtml(name)} right answers`, percent(accuracy), `of ${count(samples)} samples of the ${escapeHtml(judgedOn)}`),
  );
  const sizes = judged.map(({ name, weightBytes }) => `${escapeHtml(name)} ${bytesShort(weightBytes)}`).join(", ");
  const seconds = curve.length === 0 ? "" : card("Epochs", String(curve.length), `last loss ${curve.at(-1)!.loss.toFixed(4)}`);
  return `<dl class="cards">${each.join("")}${card("Parameters", count(parameters), best === undefined ? "" : `constants: ${sizes}`)}${card("Classes", String(classes.length), escapeHtml(classes.slice(0, 6).join(", "), 100))}${seconds}</dl>`;
}

function matrix({ name, confusion }: JudgedNetwork, classes: readonly string[]): string {
  const columns = [{ title: "is \u2193  taken for \u2192" }, ...classes.map((title) => ({ title }))];
  const rows = confusion.map((row, label) => {
    const all = Math.max(
      1,
      row.reduce((a, b) => a + b, 0),
    );
    const cells = row.map((n, answer) =>
      n === 0
        ? `<span class="dim">·</span>`
        : `<span class="cell ${answer === label ? "hit" : "miss"}" style="--s:${(n / all).toFixed(3)}">${count(n)}</span>`,
    );
    return [`<b>${escapeHtml(classes[label]!, 30)}</b>`, ...cells];
  });
  return `<div class="confusion">${htmlTable(`Answers of the ${name} network`, columns, rows)}</div>`;
}

function classTable({ judged, classes }: TrainingReport): string {
  const titles = judged.flatMap(({ name }) => ["precision", "recall", "F1"].map((what) => ({ title: `${name} ${what}`, number: true })));
  const rows = classes.map((name, c) => [
    `<b>${escapeHtml(name, 40)}</b>`,
    count(judged[0]?.classes[c]?.samples ?? 0),
    ...judged.flatMap((each) => [each.classes[c]!.precision, each.classes[c]!.recall, each.classes[c]!.f1].map(percent)),
  ]);
  return htmlTable("By class", [{ title: "Class" }, { title: "Samples", number: true }, ...titles], rows);
}

function compared({ judged }: TrainingReport): string {
  const rows = judged.map(({ name, file, fileBytes, weightBytes, accuracy, samples, confusion }) => {
    const right = confusion.reduce((sum, row, c) => sum + row[c]!, 0);
    return [
      `<b>${escapeHtml(name)}</b>`,
      `<code>${escapeHtml(file)}</code>`,
      percent(accuracy),
      count(samples - right),
      count(weightBytes),
      count(fileBytes),
    ];
  });
  const number = (title: string) => ({ title, number: true });
  return htmlTable(
    "Forms of the network",
    [{ title: "Form" }, { title: "File" }, number("Right"), number("Mistakes"), number("Bytes of constants"), number("Bytes of the file")],
    rows,
  );
}

function section(id: string, title: string, body: string): string {
  return `<section aria-labelledby="${id}"><h2 id="${id}">${title}</h2>${body}</section>`;
}

/** The page of a training: self-contained, nothing is loaded from elsewhere. */
export function renderTraining(data: TrainingReport): string {
  const policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
  const matrices = `<div class="matrices">${data.judged.map((each) => matrix(each, data.classes)).join("")}</div>`;
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${policy}"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escapeHtml(data.title, 120)} · Kinglet training</title><style>${STYLE}${OWN_STYLE}</style></head>
<body>
<header><p class="mark"><span>Kinglet training report</span></p><h1>${escapeHtml(data.title, 120)}</h1><p class="lead">${escapeHtml(`A ${data.network} that tells ${count(data.classes.length)} classes apart.`, 200)}</p></header>
<main>
${section("figures", "Key figures", cards(data))}
${section("curves", "Learning", learningCurves(data.curve))}
${section("forms", "Float against integers", compared(data))}
${section("confusion", "What is taken for what", matrices)}
${section("classes", "Class by class", classTable(data))}
${section("mistakes", "Worst mistakes", mistakeCards(data.mistakes))}
</main>
<footer>Written by Kinglet ${escapeHtml(data.version, 40)}. This page loads nothing from elsewhere.</footer>
</body>
</html>
`;
}
