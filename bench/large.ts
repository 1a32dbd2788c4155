// `npm run bench:large [-- MEGABYTES]`: processor time and memory of `kinglet inspect` with large ONNX files.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bytesOf, Xorshift32 } from "../kinglet/src/base/index.ts";
import type { TensorProto, ValueInfoProto } from "../kinglet/src/formats/onnx/proto.ts";
import { emptyGraph, emptyModel, emptyNode, emptyTensor, emptyValueInfo, encodeModel } from "../kinglet/src/formats/onnx/schema.ts";
import { figure, terminal, verdict } from "./table.ts";

const [PEAK, KINGLET] = ["./peak.mjs", "../kinglet/bin/kinglet.js"].map((path) => fileURLToPath(new URL(path, import.meta.url))) as [string, string];
const SECONDS = 2;
const TIMES_SIZE = 3;

/** Where a file holds its weights: one matrix or many, as bytes, as packed floats, or in a file beside it. */
interface Form {
  readonly name: string;
  readonly matrices: number;
  readonly store: "raw" | "floats" | "external";
}

const FORMS: readonly Form[] = [
  { name: "one, raw_data", matrices: 1, store: "raw" },
  { name: "one, float_data", matrices: 1, store: "floats" },
  { name: "one, external data", matrices: 1, store: "external" },
  { name: "many, raw_data", matrices: 100, store: "raw" },
  { name: "many, float_data", matrices: 100, store: "floats" },
  { name: "many, external data", matrices: 100, store: "external" },
];

const FLOAT = 1;

const port = (name: string, width: number): ValueInfoProto => ({ ...emptyValueInfo(), name, elementType: FLOAT, shape: [1, width] });

function tensorOf(name: string, width: number, store: Form["store"], bytes: Uint8Array, offset: number): TensorProto {
  const tensor = { ...emptyTensor(), name, dims: [width, width], dataType: FLOAT };
  if (store === "raw") return { ...tensor, raw: bytes };
  if (store === "floats") tensor.floats.addPacked(bytes);
  else Object.entries({ location: "weights.bin", offset, length: bytes.length }).forEach(([key, value]) => tensor.external.set(key, String(value)));
  return { ...tensor, isExternal: store === "external" };
}

/** A chain of products with square matrices; the weights of external data are given back apart. */
function chain({ matrices, store }: Form, totalBytes: number): { model: Uint8Array; weights: Uint8Array } {
  const width = Math.floor(Math.sqrt(totalBytes / matrices / 4));
  const random = new Xorshift32(1);
  const weights = bytesOf(Float32Array.from({ length: matrices * width * width }, () => random.float() / width));
  const each = width * width * 4;
  const numbers = Array.from({ length: matrices }, (_, i) => i);
  const graph = {
    ...emptyGraph(),
    name: "large",
    nodes: numbers.map((i) => ({ ...emptyNode(), op: "MatMul", inputs: [`x${i}`, `w${i}`], outputs: [`x${i + 1}`] })),
    initializers: numbers.map((i) => tensorOf(`w${i}`, width, store, weights.subarray(i * each, (i + 1) * each), i * each)),
    inputs: [port("x0", width)],
    outputs: [port(`x${matrices}`, width)],
  };
  return { model: encodeModel({ ...emptyModel(), irVersion: 8, opsets: new Map([["", 13]]), graph }), weights };
}

interface Inspected {
  /** Of the processor: the machine may be busy. */
  readonly seconds: number;
  readonly peakBytes: number;
}

function inspect(path: string): Inspected {
  const ran = spawnSync(process.execPath, ["--import", PEAK, KINGLET, "inspect", path], { encoding: "utf8" });
  if (ran.status !== 0) throw new Error(ran.stderr);
  return JSON.parse(ran.stderr.trim().split("\n").at(-1)!) as Inspected;
}

function measure(folder: string, form: Form, totalBytes: number): Inspected & { fileBytes: number } {
  const { model, weights } = chain(form, totalBytes);
  const path = join(folder, "model.onnx");
  writeFileSync(path, model);
  if (form.store === "external") writeFileSync(join(folder, "weights.bin"), weights);
  const fileBytes = statSync(path).size + (form.store === "external" ? weights.length : 0);
  return { ...inspect(path), fileBytes };
}

const megabytes = Number(process.argv[2] ?? 100);
const folder = mkdtempSync(join(tmpdir(), "kinglet-large-"));
try {
  // What the program itself takes is no matter of the file.
  const empty = measure(folder, { name: "small", matrices: 1, store: "raw" }, 64);
  const rows = FORMS.map((form) => {
    const { seconds, peakBytes, fileBytes } = measure(folder, form, megabytes * 1e6);
    const times = (peakBytes - empty.peakBytes) / fileBytes;
    return [
      form.name,
      figure(fileBytes),
      (seconds - empty.seconds).toFixed(2),
      times.toFixed(2),
      verdict(seconds - empty.seconds <= SECONDS && times <= TIMES_SIZE),
    ];
  });
  const titles = ["weights", "file bytes", "seconds", "times the file in memory", `≤ ${SECONDS} s, ≤ ${TIMES_SIZE} times`];
  console.log(terminal({ titles, rows }));
  console.log(`Beyond a small file's ${empty.seconds.toFixed(2)} s and ${figure(empty.peakBytes)} bytes.`);
} finally {
  rmSync(folder, { recursive: true });
}
