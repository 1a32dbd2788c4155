import { bytesOf, type TypedArray } from "../base/index.ts";
import { type Buffer, type Expr, i32, KernelBuilder, type KernelInstance, type MemoryType } from "../loops/index.ts";

/** The name of a step that unpacks. */
export const UNPACK = "unpackZeros";

/** Bytes that share a mask. */
export const GROUP = 8;

/** A table of which most bytes are 0, as it lies in flash: for every eight bytes a mask of those that are not, bit 0 for the first, then these. */
export function packZeros(table: TypedArray): Uint8Array {
  const bytes = bytesOf(table);
  const packed: number[] = [];
  for (let first = 0; first < bytes.length; first += GROUP) {
    const group = bytes.subarray(first, first + GROUP);
    packed.push(group.reduce((mask, byte, i) => (byte === 0 ? mask : mask | (1 << i)), 0));
    for (const byte of group) if (byte !== 0) packed.push(byte);
  }
  return Uint8Array.from(packed);
}

/** Smaller tables are not worth a step of their own. */
const LEAST_BYTES = 512;
/** What packing must leave of a table at most. */
const MOST_SHARE = 0.75;

/** A table that packing makes much smaller, of a type that can be unpacked. */
export function isWorthPacking(type: MemoryType, table: TypedArray): type is "i8" | "i32" {
  return (type === "i8" || type === "i32") && table.byteLength >= LEAST_BYTES && packZeros(table).length <= MOST_SHARE * table.byteLength;
}

/** Elements that unpacking writes: whole groups. */
export function unpackedLength(table: TypedArray): number {
  return (Math.ceil(table.byteLength / GROUP) * GROUP) / table.BYTES_PER_ELEMENT;
}

const WORD = 4;

/** Unpacks a table into the arena, for the kernel that comes next. */
export function unpackKernel(type: "i8" | "i32", table: TypedArray): KernelInstance {
  const k = new KernelBuilder([], [type]);
  const packed = k.constant("packed", "u8", packZeros(table));
  const output = k.output(0, "table");
  const at = k.variable("at", i32(0));
  const next = (use: (byte: Expr) => void): void => {
    use(packed.load(at.get()));
    at.set(at.get().add(1));
  };
  k.for("group", 0, k.int("groups", Math.ceil(table.byteLength / GROUP)), (group) => {
    const mask = k.let("mask", packed.load(at.get()));
    at.set(at.get().add(1));
    if (type === "i8") unpackBytes(k, mask, output, group.mul(GROUP), next);
    else for (let w = 0; w < GROUP / WORD; w++) unpackWord(k, mask.shru(WORD * w).and(15), output, group.mul(GROUP / WORD).add(w), next);
  });
  return k.finish(`unpack_zeros_${type}`, "Brings a table whose zeros are not stored into working memory.", { looseSizes: "all" });
}

type Next = (use: (byte: Expr) => void) => void;

function unpackBytes(k: KernelBuilder, mask: Expr, output: Buffer, to: Expr, next: Next): void {
  for (let b = 0; b < GROUP; b++)
    k.if(
      mask.and(1 << b).ne(0),
      () => next((byte) => output.store(to.add(b), byte)),
      () => output.store(to.add(b), 0),
    );
}

function unpackWord(k: KernelBuilder, bits: Expr, output: Buffer, to: Expr, next: Next): void {
  const own = k.let("bits", bits);
  const word = k.variable("word", i32(0));
  k.if(own.ne(0), () => {
    for (let b = 0; b < WORD; b++) k.if(own.and(1 << b).ne(0), () => next((byte) => word.set(word.get().or(byte.shl(8 * b)))));
  });
  output.store(to, word.get());
}
