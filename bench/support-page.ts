import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { tfliteOperators } from "../kinglet/src/formats/index.ts";
import { OPS } from "../kinglet/src/ops/index.ts";
import type { Tally } from "./support.ts";
import { figure, markdown, NONE, type Table } from "./table.ts";
import { filled } from "./template.ts";

const TEMPLATE = fileURLToPath(new URL("./support.template.md", import.meta.url));

type Counts = Readonly<Record<string, number>>;
type Rows = Readonly<Record<string, Counts>>;

/** Back ends as people call them; the others are parts of "everywhere" that differ only for experts. */
const BACKENDS: Readonly<Record<string, string>> = {
  js: "JavaScript",
  wasm: "WebAssembly with SIMD",
  "wasm-dots": "WebAssembly with relaxed SIMD",
  "wasm-scalar": "WebAssembly without SIMD",
  c: "C",
  "cortex-m4": "Cortex-M4",
  "cortex-m55": "Cortex-M55",
};
/** Tried for some operators only. */
const SPECIAL = ["cortex-m55"];

const sum = (counts: Counts | undefined): number => Object.values(counts ?? {}).reduce((all, count) => all + count, 0);
const total = (rows: Rows | undefined): number => Object.values(rows ?? {}).reduce((all, counts) => all + sum(counts), 0);

/** The labels that most rows have; the rest share the last column. */
const COLUMNS = 6;
function commonTypes(rows: Rows): string[] {
  const counts = new Map<string, number>();
  for (const row of Object.values(rows)) for (const type of Object.keys(row)) counts.set(type, (counts.get(type) ?? 0) + 1);
  return [...counts]
    .filter(([type]) => !type.includes(" "))
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .slice(0, COLUMNS)
    .map(([type]) => type);
}

const code = (text: string): string => `\`${text}\``;
/** Text of a refusal inside of a table. */
const plain = (text: string): string => text.replaceAll("|", "/").replace(/\s+/g, " ").slice(0, 120);

/** Operators by rows with their types in columns, and further cells of each. */
function typeTable(rows: Rows, names: readonly string[], further: readonly (readonly [title: string, cell: (name: string) => string])[]): Table {
  const types = commonTypes(rows);
  return {
    titles: ["operator", ...types, "other types", ...further.map(([title]) => title)],
    rows: names.map((name) => {
      const counts = rows[name] ?? {};
      const others = Object.entries(counts).filter(([type]) => !types.includes(type));
      const cells = types.map((type) => (counts[type] === undefined ? NONE : figure(counts[type])));
      return [code(name), ...cells, others.map(([type, count]) => `${type} ${count}`).join("; ") || NONE, ...further.map(([, cell]) => cell(name))];
    }),
  };
}

/** Where all cases of an operator of the graph passed. */
function whereRuns(support: Tally): (op: string) => string {
  const cases = support["cases"] ?? {};
  const usual = Object.keys(BACKENDS).filter((way) => !SPECIAL.includes(way));
  return (op) => {
    const ways = Object.keys(BACKENDS).filter((way) => sum(cases[way]?.[op]) > 0);
    const special = ways.filter((way) => SPECIAL.includes(way)).map((way) => BACKENDS[way]!);
    const isEverywhere = usual.every((way) => sum(cases[way]?.[op]) === sum(cases[usual[0]!]?.[op]) && ways.includes(way));
    const rest = isEverywhere ? ["everywhere"] : usual.filter((way) => ways.includes(way)).map((way) => BACKENDS[way]!);
    return [...rest, ...special].join(", ") || NONE;
  };
}

function backendTable({ cases = {} }: Tally): Table {
  return {
    titles: ["back end", "operators", "cases"],
    rows: Object.entries(BACKENDS).map(([way, name]) => [
      name,
      figure(cases[way] && Object.keys(cases[way]).length),
      figure(cases[way] && total(cases[way])),
    ]),
  };
}

/** The smallest count in all ways: what every one of them gave. */
function inAllWays(ways: Readonly<Record<string, Rows>>, op: string): number {
  return Math.min(...Object.values(ways).map((rows) => sum(rows[op])));
}

function tfliteTable(support: Tally): Table {
  const rows = support["tflite"]?.["file"] ?? {};
  const read = tfliteOperators().filter(({ refused }) => refused === null);
  const byName = new Map(read.map((operator) => [operator.name, operator]));
  const where = whereRuns(support);
  return typeTable(rows, read.map(({ name }) => name).sort(), [
    ["becomes", (name) => (byName.get(name)!.op === null ? "settled while reading" : code(byName.get(name)!.op!))],
    ["runs", (name) => (byName.get(name)!.op === null ? NONE : where(byName.get(name)!.op!))],
  ]);
}

/** Rows of several suites together. */
function merged(suites: Readonly<Record<string, Rows>> | undefined): Rows {
  const all: Record<string, Record<string, number>> = {};
  for (const rows of Object.values(suites ?? {}))
    for (const [operator, counts] of Object.entries(rows)) {
      const own = (all[operator] ??= {});
      for (const [label, count] of Object.entries(counts)) own[label] = (own[label] ?? 0) + count;
    }
  return all;
}

const SEVERAL = "several operators";
/** Reasons of an operator that is not there say so in one way. */
const shortReason = (reason: string): string =>
  plain(
    reason.replace(
      /^the model uses operators that Kinglet does not have: \S+ \(\d+×(?:, ([^()]*))?\).*$/,
      (_, why: string | undefined) => why ?? "nobody has written it yet",
    ),
  );

function onnxTable(support: Tally): Table {
  const [passed, refused] = [merged(support["onnx"]), merged(support["onnx-refused"])];
  const names = Object.keys(passed).filter((name) => name !== SEVERAL);
  return typeTable(passed, names.sort(), [
    [
      "refused",
      (name) =>
        Object.entries(refused[name] ?? {})
          .map(([reason, count]) => `${count}: ${shortReason(reason)}`)
          .join("; ") || NONE,
    ],
  ]);
}

function onnxTotals(support: Tally): string {
  const suites = Object.keys(support["onnx"] ?? {}).sort();
  if (suites.length === 0) return "";
  const parts = suites.map(
    (suite) => `${figure(total(support["onnx"]![suite]))} of suite ${suite} pass and ${figure(total(support["onnx-refused"]?.[suite]))} are refused`,
  );
  const several = sum(merged(support["onnx"])[SEVERAL]);
  return `Of the cases at hand ${parts.join(", ")}; ${figure(several)} of those that pass have several operators and are in no row.`;
}

/** Reasons with the operators that have them, those of most operators first. */
function reasonTable(reasons: ReadonlyMap<string, readonly string[]>): Table {
  const rows = [...reasons].sort(([a, x], [b, y]) => y.length - x.length || (a < b ? -1 : 1));
  return { titles: ["because", "operators"], rows: rows.map(([reason, names]) => [reason, [...names].sort().map(code).join(" ")]) };
}

function onnxRefused(support: Tally): Table {
  const [passed, refused] = [merged(support["onnx"]), merged(support["onnx-refused"])];
  const reasons = new Map<string, string[]>();
  for (const [name, counts] of Object.entries(refused)) {
    if (passed[name] !== undefined || name === SEVERAL) continue;
    for (const reason of new Set(Object.keys(counts).map(shortReason))) reasons.set(reason, [...(reasons.get(reason) ?? []), name]);
  }
  return reasonTable(reasons);
}

function tfliteRefused(): Table {
  const reasons = new Map<string, string[]>();
  for (const { name, refused } of tfliteOperators()) if (refused !== null) reasons.set(refused, [...(reasons.get(refused) ?? []), name]);
  return reasonTable(reasons);
}

function graphTable(support: Tally): Table {
  const rows = support["cases"]?.["js"] ?? {};
  return typeTable(rows, Object.keys(OPS).sort(), [["runs", whereRuns(support)]]);
}

function tflmText({ tflm = {} }: Tally): string {
  const ops = [...new Set(Object.values(tflm).flatMap((rows) => Object.keys(rows)))].sort();
  if (ops.length === 0) return "";
  const listed = ops.map((op) => `${inAllWays(tflm, op)} of ${code(op)}`).join(", ");
  const ways = Object.keys(tflm)
    .filter((way) => BACKENDS[way] !== undefined)
    .map((way) => BACKENDS[way]!);
  return `Of TensorFlow Lite Micro's own 16-bit cases ${listed} give its numbers to the bit on each of ${ways.join(", ")}.`;
}

function kingletText(support: Tally): string {
  return `A \`.kinglet\` file holds ${figure(total(support["kinglet"]?.["file"]))} of the ${figure(total(support["cases"]?.["js"]))} cases, to the bit.`;
}

/** The whole page. */
export function supportText(support: Tally): string {
  const parts = {
    backends: markdown(backendTable(support)),
    tflm: tflmText(support),
    tflite: markdown(tfliteTable(support)),
    onnxTotals: onnxTotals(support),
    onnx: markdown(onnxTable(support)),
    kinglet: kingletText(support),
    graph: markdown(graphTable(support)),
    tfliteRefused: markdown(tfliteRefused()),
    onnxRefused: markdown(onnxRefused(support)),
  };
  return filled(readFileSync(TEMPLATE, "utf8"), parts, "bench/support.template.md");
}
