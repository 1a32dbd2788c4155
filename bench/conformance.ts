// `npm run conformance [-- --json | --operators | --classical] [WORD…]`: what Kinglet writes as .tflite, read back and run in TensorFlow
// Lite itself, and random classical models of ONNX in ONNX Runtime. Words choose by name; --operators takes the operators' own examples
// instead of whole networks, --classical the classical models alone.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Checked, check } from "./conformance/check.ts";
import { type ClassicalChecked, checkClassical } from "./conformance/classical.ts";
import { fileSubjects, operatorSubjects, ownSubjects, type Subject } from "./conformance/subjects.ts";
import { figure, NONE, terminal } from "./table.ts";

const PEERS = fileURLToPath(new URL("./peers", import.meta.url));

function verdict({ refused, engineRefuses, equal }: Checked): string {
  if (refused !== undefined) return "not written";
  if (engineRefuses !== undefined) return "not run";
  return equal ? "equal" : "DIFFERENT";
}

function differenceText({ difference }: Checked): string {
  if (difference === undefined) return NONE;
  return (
    [difference.steps > 0 ? `${difference.steps} steps` : "", difference.float > 0 ? difference.float.toExponential(1) : ""]
      .filter(Boolean)
      .join(", ") || "0"
  );
}

function rowOf(each: Checked): string[] {
  const back = each.readsBack === undefined ? NONE : each.readsBack ? "yes" : "in other words";
  return [each.name.slice(-60), figure(each.fileBytes), back, each.against ?? NONE, differenceText(each), verdict(each)];
}

function printText(all: readonly Checked[]): void {
  console.log(terminal({ titles: ["network", "bytes", "reads back", "in TensorFlow Lite against", "difference", "result"], rows: all.map(rowOf) }));
  const reasons = all.flatMap(({ name, refused, engineRefuses }) =>
    (refused ?? engineRefuses) === undefined ? [] : [`${name}: ${(refused ?? engineRefuses)!.slice(0, 200)}`],
  );
  if (reasons.length > 0) console.log(`\n${reasons.join("\n")}`);
  const counts = new Map<string, number>();
  for (const each of all) counts.set(verdict(each), (counts.get(verdict(each)) ?? 0) + 1);
  const back = all.filter(({ readsBack }) => readsBack === true).length;
  console.log(`\n${all.length} networks: ${[...counts].map(([what, count]) => `${count} ${what}`).join(", ")}; ${back} read back as the same graph.`);
}

/** Random models of each family. */
const CLASSICAL_MODELS = 40;

function printClassical(all: readonly ClassicalChecked[]): void {
  const titles = ["classical models", "models", "values", "difference", "wrong", "seeds of wrong"];
  const rows = all.map(({ family, models, values, float, wrong, seeds }) => [
    family,
    figure(models),
    figure(values),
    float === 0 ? "0" : float.toExponential(1),
    figure(wrong),
    seeds.join(" ") || NONE,
  ]);
  console.log(`${terminal({ titles, rows })}\n`);
}

const args = process.argv.slice(2);
const words = args.filter((arg) => !arg.startsWith("-"));
if (!existsSync(`${PEERS}/node_modules`)) {
  console.error("TensorFlow Lite and ONNX Runtime are not installed: `npm ci --prefix bench/peers` fetches half a gigabyte.");
  process.exit(1);
}
function* subjects(): Iterable<Subject> {
  if (args.includes("--classical")) return;
  if (args.includes("--operators")) yield* operatorSubjects();
  else {
    yield* ownSubjects();
    yield* fileSubjects();
  }
}
const results: Checked[] = [];
const wants = (name: string): boolean => words.length === 0 || words.some((word) => name.includes(word));
for (const subject of subjects()) {
  if (!wants(subject.name)) continue;
  process.stderr.write(`${subject.name}\n`);
  results.push(await check(subject, PEERS));
}
const classical = args.includes("--operators") ? [] : await checkClassical(PEERS, CLASSICAL_MODELS, wants);
if (args.includes("--json")) console.log(JSON.stringify({ written: results, classical }, null, 2));
else {
  if (results.length > 0) printText(results);
  if (classical.length > 0) printClassical(classical);
}
