import { bytesShort, count, countShort } from "./format.ts";
import { card, escapeHtml, htmlTable } from "./markup.ts";
import { renderPage, type Section } from "./page.ts";
import { CHART_STYLE } from "./training-charts.ts";
import { mistakeCards } from "./training-mistakes.ts";
import { flashOf, noiseTable, ramOf, stepCurves, stepTable, titleOf, zerosTable } from "./training-steps.ts";
import type { JudgedNetwork, TrainingReport } from "./training-types.ts";

const OWN_STYLE = `
.confusion td, .confusion td:last-child { text-align: center; min-width: 4.2em; } .confusion table { table-layout: fixed; min-width: calc(4.8em * var(--n)); } .confusion thead th { text-align: center; } .confusion thead th:first-child { text-align: left; }
.hit { background: color-mix(in srgb, var(--good) calc(var(--s) * 55%), transparent); } .miss { background: color-mix(in srgb, var(--bad) calc(var(--s) * 70%), transparent); }
.matrices { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); }
.mistakes { list-style: none; padding: 0; margin: 0; display: grid; gap: 12px; grid-template-columns: repeat(auto-fill, minmax(190px, 1fr)); }
.mistakes li { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 10px 12px; } .mistakes p { margin: .3em 0 0; font-size: .875rem; overflow-wrap: anywhere; }
.mistakes svg { width: 100%; display: block; } .mistakes .curve { stroke-width: 1; } .mistakes img { width: 100%; image-rendering: pixelated; display: block; border-radius: 4px; } .mistakes .heard { height: 84px; margin-top: 4px; image-rendering: auto; }
h3 { font-size: 1rem; font-weight: 600; margin: 1.1em 0 .5em; } h3 .quiet { font-weight: 400; } td .bar, th .bar { min-width: 84px; } .num .bar { margin-left: auto; } .scroll + p { margin-top: 1.4em; }
td .cell { display: block; margin: -7px -14px; padding: 7px 14px; }
`;

const percent = (share: number | null): string => (share === null ? "–" : `${(100 * share).toFixed(1)} %`);

function cards({ judged, steps, parameters, classes, judgedOn }: TrainingReport): string {
  const [first, last] = [judged[0]!, judged.at(-1)!];
  const before = last === first ? "" : `; ${escapeHtml(first.name)} had ${percent(first.accuracy)}`;
  const right = card(
    `${escapeHtml(last.name)} right answers`,
    percent(last.accuracy),
    `of ${count(last.samples)} samples of the ${escapeHtml(judgedOn)}${before}`,
  );
  const now = steps.at(-1);
  const needs =
    now === undefined
      ? ""
      : card("Flash", bytesShort(flashOf(now)), `${escapeHtml(titleOf(now)).toLowerCase()}; ${count(flashOf(now))} bytes`) +
        card("RAM", bytesShort(ramOf(now)), `${count(ramOf(now))} bytes`) +
        card("MACs", countShort(now.footprint.macs), `${count(now.footprint.macs)} an inference`) +
        (now.footprint.instructions === null
          ? ""
          : card(
              "Instructions",
              countShort(now.footprint.instructions),
              `${count(now.footprint.instructions)} an inference on ${now.footprint.core}`,
            ));
  return `<dl class="cards">${right}${needs}${card("Parameters", count(parameters), "that training moves")}${card("Classes", String(classes.length), escapeHtml(classes.slice(0, 6).join(", "), 100))}</dl>`;
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
  return `<div class="confusion" style="--n:${classes.length + 2}">${htmlTable(`Answers of the ${name} network`, columns, rows)}</div>`;
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

function sectionsOf(data: TrainingReport): Section[] {
  const matrices = `<div class="matrices">${data.judged.map((each) => matrix(each, data.classes)).join("")}</div>`;
  const noise = data.steps.at(-1)?.noise ?? [];
  const zeros = zerosTable(data);
  return [
    { id: "figures", title: "Key figures", body: cards(data) },
    { id: "steps", title: "From step to step", body: stepTable(data) },
    { id: "curves", title: "Learning", body: stepCurves(data) },
    ...(noise.length === 0 ? [] : [{ id: "noise", title: "What integers cost, layer by layer", body: noiseTable(noise) }]),
    ...(zeros === "" ? [] : [{ id: "zeros", title: "Zeros", body: zeros }]),
    { id: "confusion", title: "What is taken for what", body: matrices },
    { id: "classes", title: "Class by class", body: classTable(data) },
    { id: "forms", title: "Files", body: compared(data) },
    { id: "mistakes", title: "Worst mistakes", body: mistakeCards(data.mistakes) },
  ];
}

/** The page of a training: self-contained, nothing is loaded from elsewhere. */
export function renderTraining(data: TrainingReport): string {
  return renderPage({
    title: data.title,
    kind: "training",
    lead: `A network that tells ${count(data.classes.length)} classes apart.`,
    version: data.version,
    style: CHART_STYLE + OWN_STYLE,
    sections: sectionsOf(data),
  });
}
