import { unzipSync, zipSync } from "fflate";
import { MOST_DEFLATE } from "../unzip.ts";

/** Beside a model's labels nothing that is read is large. */
const MAX_FILE_BYTES = 2 ** 20;

const END_BYTES = 22;
const END_SIGNATURE = 0x06054b50;
const ENTRY_SIGNATURE = 0x02014b50;
/** Positions inside the end record and inside an entry of the directory. */
const END = { directoryBytes: 12, directoryAt: 16 } as const;
const ENTRY = { bytes: 46, nameBytes: 28, extraBytes: 30, commentBytes: 32, localAt: 42 } as const;

/** A zip needs a date; one that never changes keeps the same graph the same bytes. */
const DATE = new Date(1980, 0, 1);

/**
 * The text of a file in the zip archive that follows a FlatBuffer, or null where there is none. Archives count positions
 * from their own start or from the file's: both are read.
 */
export function readAttachment(file: Uint8Array, name: string): string | null {
  const at = file.length - END_BYTES;
  if (at < 0) return null;
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (view.getUint32(at, true) !== END_SIGNATURE) return null;
  const start = at - view.getUint32(at + END.directoryBytes, true) - view.getUint32(at + END.directoryAt, true);
  if (start < 0) return null;
  try {
    const found = unzipSync(file.subarray(start), {
      filter: (entry) => entry.name === name && entry.originalSize <= Math.min(MAX_FILE_BYTES, MOST_DEFLATE * entry.size + 1024),
    });
    return found[name] === undefined ? null : new TextDecoder().decode(found[name]);
  } catch {
    return null; // what came with the model is damaged; the model is not
  }
}

/** The file with a zip archive of texts behind it, whose positions count from the file's start as archives of such files do. */
export function withAttachments(file: Uint8Array, texts: Readonly<Record<string, string>>): Uint8Array {
  const entries = Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, new TextEncoder().encode(text)]));
  const zip = zipSync(entries, { level: 0, mtime: DATE });
  const view = new DataView(zip.buffer, zip.byteOffset, zip.byteLength);
  const move = (at: number): void => view.setUint32(at, view.getUint32(at, true) + file.length, true);
  const end = zip.length - END_BYTES;
  let at = view.getUint32(end + END.directoryAt, true);
  while (view.getUint32(at, true) === ENTRY_SIGNATURE) {
    move(at + ENTRY.localAt);
    at += ENTRY.bytes + [ENTRY.nameBytes, ENTRY.extraBytes, ENTRY.commentBytes].reduce((sum, field) => sum + view.getUint16(at + field, true), 0);
  }
  move(end + END.directoryAt);
  const all = new Uint8Array(file.length + zip.length);
  all.set(file);
  all.set(zip, file.length);
  return all;
}
