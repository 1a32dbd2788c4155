// `npm run conformance [-- --json | --operators | --onnx] [WORD…]`: what Kinglet writes as .tflite, read back and run in TensorFlow Lite itself.
// Words choose by name; --operators takes the operators' own examples instead of whole networks. --onnx compares quantized ONNX models with
// ONNX Runtime instead: every layer by itself (at most one step), and right answers on labelled samples (at most half a point apart).
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Checked, check } from "./conformance/check.ts";
import { fileSubjects, operatorSubjects, ownSubjects, type Subject } from "./conformance/subjects.ts";
import { EXPLAINED } from "./conformance/explained.ts";
import { checkOnnx, onnxFailed, onnxText } from "./conformance/onnx.ts";
import { figure, NONE, terminal } from "./table.ts";

const PEERS = fileURLToPath(new URL("./peers", import.meta.url));

/** One step of 8 or 16 bits is what two roundings of the same number may make. */
function verdict({ name, refused, engineRefuses, equal, difference }: Checked): string {
  if (refused !== undefined) return "not written";
  if (engineRefuses !== undefined) return "not run";
  if (equal) return "equal";
  if (name in EXPLAINED) return "explained";
  return difference!.float === 0 && difference!.steps === 1 ? "one step" : "DIFFERENT";
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
  const reasons = all.flatMap((each) => {
    const reason = each.refused ?? each.engineRefuses ?? (verdict(each) === "explained" ? EXPLAINED[each.name] : undefined);
    return reason === undefined ? [] : [`${each.name}: ${reason.slice(0, 200)}`];
  });
  if (reasons.length > 0) console.log(`\n${reasons.join("\n")}`);
  const counts = new Map<string, number>();
  for (const each of all) counts.set(verdict(each), (counts.get(verdict(each)) ?? 0) + 1);
  const back = all.filter(({ readsBack }) => readsBack === true).length;
  console.log(`\n${all.length} networks: ${[...counts].map(([what, count]) => `${count} ${what}`).join(", ")}; ${back} read back as the same graph.`);
}

const args = process.argv.slice(2);
const words = args.filter((arg) => !arg.startsWith("-"));
if (!existsSync(`${PEERS}/node_modules`)) {
  console.error("The other engines are not installed: `npm ci --prefix bench/peers` fetches half a gigabyte.");
  process.exit(1);
}
function* subjects(): Iterable<Subject> {
  if (args.includes("--operators")) yield* operatorSubjects();
  else {
    yield* ownSubjects();
    yield* fileSubjects();
  }
}

async function withTflite(): Promise<void> {
  const results: Checked[] = [];
  for (const subject of subjects()) {
    if (words.length > 0 && !words.some((word) => subject.name.includes(word))) continue;
    process.stderr.write(`${subject.name}\n`);
    results.push(await check(subject, PEERS));
  }
  if (args.includes("--json")) console.log(JSON.stringify(results, null, 2));
  else printText(results);
  if (results.some((each) => verdict(each) === "DIFFERENT")) process.exitCode = 1;
}

async function withOnnxRuntime(): Promise<void> {
  const results = await checkOnnx(PEERS);
  console.log(args.includes("--json") ? JSON.stringify(results, null, 2) : onnxText(results));
  if (onnxFailed(results)) process.exitCode = 1;
}

await (args.includes("--onnx") ? withOnnxRuntime() : withTflite());
