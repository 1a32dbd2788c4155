// `npm run conformance [-- --json | --operators | --tflite | --onnx | --quantized | --classical] [WORD…]`, each part by its name or all:
//   tflite, onnx  what Kinglet writes, read back and run in TensorFlow Lite and ONNX Runtime themselves
//   quantized     quantized ONNX models in ONNX Runtime: every layer by itself (at most one step), right answers (at most half a point apart)
//   classical     random classical models of ONNX in ONNX Runtime
// Words choose by name; --operators takes the operators' own examples instead of whole networks. What differs unexplained ends with 1.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { check } from "./conformance/check.ts";
import { checkClassical } from "./conformance/classical.ts";
import { checkOnnx, onnxVerdict } from "./conformance/onnx.ts";
import { checkQuantized, quantizedFailed, quantizedText } from "./conformance/quantized.ts";
import { fileSubjects, operatorSubjects, ownSubjects, type Subject } from "./conformance/subjects.ts";
import { classicalText, onnxText, tfliteText, tfliteVerdict } from "./conformance/text.ts";

const PEERS = fileURLToPath(new URL("./peers", import.meta.url));
/** Random models of each family. */
const CLASSICAL_MODELS = 40;

const args = process.argv.slice(2);
const words = args.filter((arg) => !arg.startsWith("-"));
if (!existsSync(`${PEERS}/node_modules`)) {
  console.error("The other engines are not installed: `npm ci --prefix bench/peers` fetches half a gigabyte.");
  process.exit(1);
}

const wants = (name: string): boolean => words.length === 0 || words.some((word) => name.includes(word));

function* subjects(withOnnx: boolean): Iterable<Subject> {
  if (args.includes("--operators")) yield* operatorSubjects(wants);
  else {
    yield* ownSubjects(wants);
    yield* fileSubjects("tflite", wants);
    if (withOnnx) yield* fileSubjects("onnx", wants);
  }
}

async function checkAll<T>(engine: string, all: Iterable<Subject>, one: (subject: Subject, peers: string) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (const subject of all) {
    process.stderr.write(`${subject.name} in ${engine}\n`);
    results.push(await one(subject, PEERS));
  }
  return results;
}

/** What a part of the conformance found, for machines and for people. */
interface Found {
  readonly json: readonly unknown[];
  readonly failed: boolean;
  readonly text: () => string;
}

async function tflite(): Promise<Found> {
  const json = await checkAll("TensorFlow Lite", subjects(false), check);
  return { json, failed: json.some((each) => tfliteVerdict(each) === "DIFFERENT"), text: () => tfliteText(json) };
}

async function onnx(): Promise<Found> {
  const json = await checkAll("ONNX Runtime", subjects(true), checkOnnx);
  return { json, failed: json.some((each) => onnxVerdict(each) === "DIFFERENT"), text: () => onnxText(json) };
}

async function quantized(): Promise<Found> {
  const json = args.includes("--operators") || words.length > 0 ? [] : await checkQuantized(PEERS);
  return { json, failed: quantizedFailed(json), text: () => quantizedText(json) };
}

async function classical(): Promise<Found> {
  const json = args.includes("--operators") ? [] : await checkClassical(PEERS, CLASSICAL_MODELS, wants);
  return { json, failed: json.some(({ wrong }) => wrong > 0), text: () => classicalText(json) };
}

const PARTS: Readonly<Record<string, () => Promise<Found>>> = { tflite, onnx, quantized, classical };

const asked = Object.keys(PARTS).filter((part) => args.includes(`--${part}`));
const found: [part: string, found: Found][] = [];
for (const part of asked.length > 0 ? asked : Object.keys(PARTS)) found.push([part, await PARTS[part]!()]);
if (args.includes("--json")) console.log(JSON.stringify(Object.fromEntries(found.map(([part, { json }]) => [part, json])), null, 2));
else console.log(found.flatMap(([, { json, text }]) => (json.length === 0 ? [] : [text()])).join("\n\n"));
if (found.some(([, { failed }]) => failed)) process.exitCode = 1;
