import * as v from "valibot";
import { bytesOf, crc32, fromBytes, KingletError } from "../../base/index.ts";
import type { ClientMemory } from "../client-round.ts";
import { checkedJson } from "../protocol/index.ts";

/** An update of which the client has not heard that it arrived, and what it remembers if it did. */
export interface Unheard {
  readonly round: number;
  readonly frame: Uint8Array;
  readonly memory: ClientMemory;
}

/** What a client remembers between its rounds. */
export interface Remembered {
  /** The nonce of its enrolment: no other one has it, in this federation or in others. */
  readonly owner: string;
  readonly memory: ClientMemory;
  readonly unheard?: Unheard;
}

const PARTS = ["rest", "control", "frame", "unheard rest", "unheard control"] as const;
const Part = v.picklist(PARTS);
type Part = v.InferOutput<typeof Part>;

const Header = v.strictObject({
  owner: v.string(),
  /** Of the update that is unheard of. */
  round: v.nullable(v.number()),
  parts: v.array(v.strictTuple([Part, v.pipe(v.number(), v.integer(), v.minValue(0))])),
});

/** "KCM" and the version of the file, as a little-endian word. */
const MAGIC = 0x01_4d_43_4b;
/** Magic, CRC-32 of all that follows it, bytes of the header. */
const PREFIX_BYTES = 12;
const CHECKED_FROM = 8;

function partsOf({ rest, control }: ClientMemory, restName: Part, controlName: Part): [Part, Uint8Array][] {
  return [...(rest === undefined ? [] : [[restName, bytesOf(rest)]]), ...(control === undefined ? [] : [[controlName, bytesOf(control)]])] as [
    Part,
    Uint8Array,
  ][];
}

/** The bytes of a file: prefix, header as JSON, the parts in its order; numbers are float32 little-endian. */
export function encodeMemory({ owner, memory, unheard }: Remembered): Uint8Array {
  const parts = partsOf(memory, "rest", "control");
  if (unheard !== undefined) parts.push(["frame", unheard.frame], ...partsOf(unheard.memory, "unheard rest", "unheard control"));
  const header = { owner, round: unheard?.round ?? null, parts: parts.map(([name, { length }]) => [name, length]) };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(PREFIX_BYTES + text.length + parts.reduce((sum, [, { length }]) => sum + length, 0));
  let at = PREFIX_BYTES;
  for (const part of [text, ...parts.map(([, contents]) => contents)]) {
    bytes.set(part, at);
    at += part.length;
  }
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(8, text.length, true);
  view.setUint32(4, crc32(bytes.subarray(CHECKED_FROM)), true);
  return bytes;
}

function damaged(): never {
  throw new KingletError("bad-file", "what this client remembers of its rounds is damaged", { hint: "Remove it: the client goes on without." });
}

function memoryOf(parts: ReadonlyMap<Part, Uint8Array>, restName: Part, controlName: Part): ClientMemory {
  const floats = (name: Part): Float32Array | undefined => (parts.has(name) ? (fromBytes("float32", parts.get(name)!) as Float32Array) : undefined);
  const [rest, control] = [floats(restName), floats(controlName)];
  return { ...(rest === undefined ? {} : { rest }), ...(control === undefined ? {} : { control }) };
}

/** Reads a file. @throws KingletError `bad-file` for anything but a whole one. */
export function decodeMemory(bytes: Uint8Array): Remembered {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < PREFIX_BYTES || view.getUint32(0, true) !== MAGIC) return damaged();
  if (crc32(bytes.subarray(CHECKED_FROM)) !== view.getUint32(4, true)) return damaged();
  let at = PREFIX_BYTES + view.getUint32(8, true);
  const { owner, round, parts } = checkedJson(Header, new TextDecoder().decode(bytes.subarray(PREFIX_BYTES, at)), "what this client remembers");
  const contents = new Map(parts.map(([name, length]): [Part, Uint8Array] => [name, bytes.subarray(at, (at += length))]));
  const frame = contents.get("frame");
  if (at !== bytes.length || (round === null) !== (frame === undefined)) return damaged();
  const memory = memoryOf(contents, "rest", "control");
  if (round === null || frame === undefined) return { owner, memory };
  return { owner, memory, unheard: { round, frame: frame.slice(), memory: memoryOf(contents, "unheard rest", "unheard control") } };
}
