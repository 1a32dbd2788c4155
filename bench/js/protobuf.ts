/** One field of a protocol buffer message, encoded. */
export type Encoded = Uint8Array;

const text = new TextEncoder();

function varint(value: number | bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}

export function int(field: number, value: number): Encoded {
  return Uint8Array.from([...varint(field << 3), ...varint(value)]);
}

export function bytes(field: number, value: Uint8Array): Encoded {
  return Buffer.concat([Uint8Array.from([...varint((field << 3) | 2), ...varint(value.length)]), value]);
}

export function string(field: number, value: string): Encoded {
  return bytes(field, text.encode(value));
}

export function message(field: number, ...fields: readonly Encoded[]): Encoded {
  return bytes(field, Buffer.concat(fields));
}
