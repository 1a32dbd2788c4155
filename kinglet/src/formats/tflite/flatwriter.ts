import { Builder } from "flatbuffers";

/** A field to write: a scalar of some width, a vector, a text, a table or a vector of tables. */
export type Field =
  | { readonly int: number }
  | { readonly byte: number }
  | { readonly float: number }
  | { readonly ulong: bigint }
  | { readonly text: string }
  | { readonly ints: readonly number[] }
  | { readonly floats: readonly number[] }
  | { readonly longs: readonly number[] }
  | { readonly bytes: Uint8Array }
  | { readonly table: Fields }
  | { readonly tables: readonly Fields[] };

/** The fields of a table by their number in the schema; what is not there has the schema's default. */
export type Fields = Readonly<Record<number, Field>>;

/** Contents of tensors start at a multiple of so many bytes, as the schema demands of buffers. */
const BYTES_ALIGNMENT = 16;

/** Writes what the field points to, if anything; children come before their parent in a FlatBuffer. */
function child(b: Builder, field: Field): number {
  if ("text" in field) return b.createString(field.text);
  if ("bytes" in field) {
    b.prep(BYTES_ALIGNMENT, field.bytes.length);
    return b.createByteVector(field.bytes);
  }
  if ("table" in field) return table(b, field.table);
  if ("tables" in field)
    return offsets(
      b,
      field.tables.map((one) => table(b, one)),
    );
  if ("ints" in field) return vector(b, 4, field.ints, (n) => b.addInt32(n));
  if ("floats" in field) return vector(b, 4, field.floats, (n) => b.addFloat32(n));
  if ("longs" in field) return vector(b, 8, field.longs, (n) => b.addInt64(BigInt(n)));
  return 0;
}

function vector(b: Builder, bytes: number, numbers: readonly number[], add: (n: number) => void): number {
  b.startVector(bytes, numbers.length, bytes);
  for (const n of numbers.toReversed()) add(n);
  return b.endVector();
}

function offsets(b: Builder, children: readonly number[]): number {
  b.startVector(4, children.length, 4);
  for (const one of children.toReversed()) b.addOffset(one);
  return b.endVector();
}

function table(b: Builder, fields: Fields): number {
  const entries = Object.entries(fields).map(([id, field]) => ({ id: Number(id), field, at: child(b, field) }));
  b.startObject(Math.max(-1, ...entries.map(({ id }) => id)) + 1);
  b.forceDefaults(true);
  for (const { id, field, at } of entries) {
    if ("int" in field) b.addFieldInt32(id, field.int, 0);
    else if ("byte" in field) b.addFieldInt8(id, field.byte, 0);
    else if ("float" in field) b.addFieldFloat32(id, field.float, 0);
    else if ("ulong" in field) b.addFieldInt64(id, field.ulong, 0n);
    else b.addFieldOffset(id, at, 0);
  }
  return b.endObject();
}

/** A FlatBuffer with this table at its root; the same fields give the same bytes. */
export function flatBuffer(root: Fields, identifier: string): Uint8Array {
  const b = new Builder(1024);
  b.finish(table(b, root), identifier);
  return b.asUint8Array();
}
