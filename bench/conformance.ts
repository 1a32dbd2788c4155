// `npm run conformance [-- --json | --operators | --tflite | --onnx] [WORD…]`: what Kinglet writes as .tflite and as .onnx, read back, and
// run in TensorFlow Lite and ONNX Runtime themselves. Words choose by name; --operators takes the operators' own examples instead of
// whole networks; --tflite and --onnx write that format only.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { check } from "./conformance/check.ts";
import { checkOnnx } from "./conformance/onnx.ts";
import { fileSubjects, operatorSubjects, ownSubjects, type Subject } from "./conformance/subjects.ts";
import { onnxText, tfliteText } from "./conformance/text.ts";

const PEERS = fileURLToPath(new URL("./peers", import.meta.url));
const args = process.argv.slice(2);
const words = args.filter((arg) => !arg.startsWith("-"));
if (!existsSync(`${PEERS}/node_modules`)) {
  console.error("The other engines are not installed: `npm ci --prefix bench/peers` fetches half a gigabyte.");
  process.exit(1);
}

function* subjects(withOnnx: boolean): Iterable<Subject> {
  if (args.includes("--operators")) yield* operatorSubjects();
  else {
    yield* ownSubjects();
    yield* fileSubjects("tflite");
    if (withOnnx) yield* fileSubjects("onnx");
  }
}

async function checkAll<T>(engine: string, all: Iterable<Subject>, one: (subject: Subject, peers: string) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (const subject of all) {
    if (words.length > 0 && !words.some((word) => subject.name.includes(word))) continue;
    process.stderr.write(`${subject.name} in ${engine}\n`);
    results.push(await one(subject, PEERS));
  }
  return results;
}

const tflite = args.includes("--onnx") ? [] : await checkAll("TensorFlow Lite", subjects(false), check);
const onnx = args.includes("--tflite") ? [] : await checkAll("ONNX Runtime", subjects(true), checkOnnx);
if (args.includes("--json")) console.log(JSON.stringify({ tflite, onnx }, null, 2));
else console.log([...(tflite.length === 0 ? [] : [tfliteText(tflite)]), ...(onnx.length === 0 ? [] : [onnxText(onnx)])].join("\n\n"));
