import { crc32 } from "../../base/index.ts";
import { ByteReader } from "./byte-reader.ts";
import { inflateExactly } from "./inflate.ts";
import { refuse, unsupported } from "./refuse.ts";

/** One file inside a zip, unpacked on demand. */
export interface ZipMember {
  /** Path inside the zip, with "/" between folders; never absolute and never with "..". */
  readonly name: string;
  /** Unpacked size in bytes, as declared. */
  readonly size: number;
  /** @throws KingletError `bad-input` for damaged data. */
  read(): Uint8Array;
}

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;
const END_BYTES = 22;
/** The end record is followed by a comment of at most this length. */
const MOST_COMMENT = 65535;
const [STORED, DEFLATED] = [0, 8];
const ENCRYPTED = 1;

export function isZip(bytes: Uint8Array): boolean {
  return bytes.length >= END_BYTES && bytes[0] === 0x50 && bytes[1] === 0x4b && (bytes[2] === 3 || bytes[2] === 5);
}

/** Offset of the record that says where the directory lies: the last one that fits. */
function findEnd(bytes: Uint8Array, name: string): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const first = Math.max(0, bytes.length - END_BYTES - MOST_COMMENT);
  for (let at = bytes.length - END_BYTES; at >= first; at--) if (view.getUint32(at, true) === END) return at;
  return refuse(name, "the zip file ends early: it has no directory");
}

interface Entry {
  readonly name: string;
  readonly method: number;
  readonly flags: number;
  readonly checksum: number;
  readonly packedSize: number;
  readonly size: number;
  readonly offset: number;
}

function readEntry(reader: ByteReader, zip: string): Entry {
  if (reader.u32() !== ENTRY) refuse(zip, `the directory is damaged at byte ${reader.at - 4}`);
  reader.take(4);
  const [flags, method] = [reader.u16(), reader.u16()];
  reader.take(4);
  const [checksum, packedSize, size] = [reader.u32(), reader.u32(), reader.u32()];
  const [nameBytes, extraBytes, commentBytes] = [reader.u16(), reader.u16(), reader.u16()];
  reader.take(8);
  const offset = reader.u32();
  const name = new TextDecoder().decode(reader.take(nameBytes)).replaceAll("\\", "/");
  reader.take(extraBytes + commentBytes);
  return { name, method, flags, checksum, packedSize, size, offset };
}

function readMember(bytes: Uint8Array, entry: Entry, place: string): Uint8Array {
  if (entry.flags & ENCRYPTED) unsupported(place, "the file is encrypted");
  const reader = new ByteReader(bytes, place);
  reader.take(entry.offset > bytes.length ? bytes.length : entry.offset);
  if (reader.left < 30 || reader.u32() !== LOCAL) refuse(place, "the zip's directory points to something that is not a file");
  reader.take(22);
  const [nameBytes, extraBytes] = [reader.u16(), reader.u16()];
  reader.take(nameBytes + extraBytes);
  const packed = reader.take(entry.packedSize);
  if (entry.method !== STORED && entry.method !== DEFLATED) unsupported(place, `the file is packed with method ${entry.method}, not deflate`);
  if (entry.method === STORED && entry.size !== entry.packedSize) refuse(place, "the file's two sizes differ");
  const out = entry.method === STORED ? packed : inflateExactly(packed, entry.size, place);
  if (crc32(out) !== entry.checksum) refuse(place, "the file is damaged: its checksum differs");
  return out;
}

const isSafe = (name: string): boolean => !name.startsWith("/") && !/^[A-Za-z]:/.test(name) && !name.split("/").includes("..");

/**
 * The files of a zip in the order of its directory; folders are left out. `name` is used in messages.
 * @throws KingletError `bad-input` for a damaged directory, `unsupported` for zip64.
 */
export function readZip(bytes: Uint8Array, name: string): ZipMember[] {
  const reader = new ByteReader(bytes, name);
  reader.take(findEnd(bytes, name) + 8);
  reader.take(2);
  const entries = reader.u16();
  reader.take(4);
  const offset = reader.u32();
  if (entries === 0xffff || offset === 0xffffffff) unsupported(name, "this is a zip64 file (over 65,534 files or 4 GiB)", "Unpack it first.");
  const directory = new ByteReader(bytes, name);
  directory.take(offset);
  const members: ZipMember[] = [];
  for (let i = 0; i < entries; i++) {
    const entry = readEntry(directory, name);
    if (entry.name.endsWith("/") || entry.name === "") continue;
    const place = `${name}/${entry.name}`;
    if (!isSafe(entry.name)) refuse(place, "the path leaves the zip");
    members.push({ name: entry.name, size: entry.size, read: () => readMember(bytes, entry, place) });
  }
  return members;
}
