/** What travels through Redis: something that is JSON, and arrays of bytes behind it. */
export interface Packed<H> {
  readonly header: H;
  readonly parts: readonly Uint8Array[];
}

const WORD_BYTES = 4;

/** The header's bytes as a little-endian word, the header with the parts' bytes, the parts. */
export function pack<H>(header: H, parts: readonly Uint8Array[] = []): Buffer {
  const head = Buffer.from(JSON.stringify({ header, bytes: parts.map(({ length }) => length) }));
  const size = Buffer.alloc(WORD_BYTES);
  size.writeUInt32LE(head.length);
  return Buffer.concat([size, head, ...parts]);
}

/** The parts point into `packed`. */
export function unpack<H>(packed: Buffer): Packed<H> {
  let at = WORD_BYTES + packed.readUInt32LE();
  const { header, bytes } = JSON.parse(packed.toString("utf8", WORD_BYTES, at)) as { header: H; bytes: number[] };
  return { header, parts: bytes.map((length) => packed.subarray(at, (at += length))) };
}
