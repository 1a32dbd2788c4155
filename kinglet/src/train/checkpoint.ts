import { bytesOf, crc32, KingletError } from "../base/index.ts";
import type { EpochReport } from "./fit.ts";
import type { SessionState } from "./session.ts";

/** A training as it stands after an epoch: all that going on needs. */
export interface Checkpoint {
  /** Epochs done. */
  readonly epochs: number;
  /** What must be the same for going on to mean anything, by name, as text. */
  readonly agreed: Readonly<Record<string, string>>;
  readonly reports: readonly EpochReport[];
  readonly state: SessionState;
}

/** "KNGC", then little-endian: version, bytes of the header, CRC-32 of all that follows these 16 bytes. */
const MAGIC = 0x43474e4b;
const VERSION = 1;
const PREFIX_BYTES = 16;

interface Header {
  readonly epochs: number;
  readonly steps: number;
  readonly agreed: Readonly<Record<string, string>>;
  readonly reports: readonly EpochReport[];
  readonly variables: readonly (readonly [name: string, length: number])[];
}

/** The bytes of a checkpoint: prefix, header as JSON, floats of all variables in the header's order. */
export function encodeCheckpoint({ epochs, agreed, reports, state }: Checkpoint): Uint8Array {
  const variables = [...state.variables];
  const header: Header = { epochs, steps: state.steps, agreed, reports, variables: variables.map(([name, { length }]) => [name, length]) };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const floats = variables.reduce((sum, [, { byteLength }]) => sum + byteLength, 0);
  const bytes = new Uint8Array(PREFIX_BYTES + text.length + floats);
  bytes.set(text, PREFIX_BYTES);
  let at = PREFIX_BYTES + text.length;
  for (const [, data] of variables) {
    bytes.set(bytesOf(data), at);
    at += data.byteLength;
  }
  const view = new DataView(bytes.buffer);
  [MAGIC, VERSION, text.length, crc32(bytes.subarray(PREFIX_BYTES))].forEach((word, i) => {
    view.setUint32(4 * i, word, true);
  });
  return bytes;
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === "object" && value !== null && !Array.isArray(value);

function isReport(value: unknown): boolean {
  if (!isObject(value)) return false;
  const numbers = ["epoch", "loss", "accuracy", "rate", "samples", "seconds"].every((key) => Number.isFinite(value[key]));
  return numbers && (value["validation"] === null || Number.isFinite(value["validation"]));
}

function isHeader(value: unknown): value is Header {
  if (!isObject(value) || !isCount(value["epochs"]) || !isCount(value["steps"])) return false;
  const { agreed, reports, variables } = value;
  const isVariable = (item: unknown): boolean => Array.isArray(item) && item.length === 2 && typeof item[0] === "string" && isCount(item[1]);
  return (
    isObject(agreed) &&
    Object.values(agreed).every((text) => typeof text === "string") &&
    Array.isArray(reports) &&
    reports.every(isReport) &&
    Array.isArray(variables) &&
    variables.every(isVariable)
  );
}

function parseHeader(bytes: Uint8Array): Header | null {
  try {
    const header: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return isHeader(header) ? header : null;
  } catch {
    return null;
  }
}

/** Reads a checkpoint's bytes. @throws KingletError `bad-file` for anything but a whole checkpoint of this version. */
export function decodeCheckpoint(bytes: Uint8Array, place: string): Checkpoint {
  const fail = (what: string): never => {
    throw new KingletError("bad-file", what, { place, hint: "Train from the beginning: leave out --resume." });
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < PREFIX_BYTES || view.getUint32(0, true) !== MAGIC) return fail("this is not a checkpoint of a training");
  if (view.getUint32(4, true) !== VERSION) return fail(`the checkpoint has version ${view.getUint32(4, true)}, and this Kinglet reads ${VERSION}`);
  const end = PREFIX_BYTES + view.getUint32(8, true);
  if (end > bytes.length || crc32(bytes.subarray(PREFIX_BYTES)) !== view.getUint32(12, true)) return fail("the checkpoint is damaged");
  const header = parseHeader(bytes.subarray(PREFIX_BYTES, end));
  if (header === null) return fail("the checkpoint's header is damaged");
  const variables = new Map<string, Float32Array>();
  let at = end;
  for (const [name, length] of header.variables) {
    if (length * 4 > bytes.length - at) return fail(`the checkpoint ends within "${name.slice(0, 80)}"`);
    // A copy, since floats need an address that four divides; the slice of a Buffer would be none.
    variables.set(name, new Float32Array(new Uint8Array(bytes.subarray(at, at + length * 4)).buffer));
    at += length * 4;
  }
  if (at !== bytes.length) return fail("the checkpoint has more bytes than its header says");
  const { epochs, steps, agreed, reports } = header;
  return { epochs, agreed, reports, state: { steps, variables } };
}

/** @throws KingletError `misuse` that names the first option in which checkpoint and training differ. */
export function checkAgreed(checkpoint: Checkpoint, agreed: Checkpoint["agreed"], place: string): void {
  for (const [name, now] of Object.entries(agreed)) {
    const then = checkpoint.agreed[name];
    if (then !== now)
      throw new KingletError("misuse", `the checkpoint was made with another ${name}: ${(then ?? "none").slice(0, 120)}, now ${now.slice(0, 120)}`, {
        place,
        hint: "Set it as it was, or train from the beginning without --resume.",
      });
  }
}
