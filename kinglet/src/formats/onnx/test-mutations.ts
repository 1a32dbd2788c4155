import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Xorshift32 } from "../../base/index.ts";

/** Damage to ONNX files that knows their structure: lengths stay right, so that it reaches what reads the messages. */

/** Which fields of a message are messages, and of which kind. */
const MESSAGES: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  model: { 7: "graph", 8: "leaf", 25: "function" },
  graph: { 1: "node", 5: "tensor", 11: "port", 12: "port", 15: "sparse" },
  node: { 5: "attribute" },
  attribute: { 5: "tensor", 6: "graph" },
  port: { 2: "type" },
  type: { 1: "tensorType" },
  tensorType: { 2: "shape" },
  shape: { 1: "leaf" },
  tensor: { 13: "leaf" },
  sparse: { 1: "tensor", 2: "tensor" },
  function: { 7: "node", 9: "leaf", 11: "attribute" },
  leaf: {},
};

interface Field {
  number: number;
  type: WireType;
  /** A number, bytes, or the fields of a message. */
  value: bigint | Uint8Array | Field[];
}

function parse(bytes: Uint8Array, kind: string): Field[] {
  const reader = new BinaryReader(bytes);
  const fields: Field[] = [];
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    if (type === WireType.Varint) fields.push({ number, type, value: BigInt(reader.uint64()) });
    else if (type !== WireType.LengthDelimited) fields.push({ number, type, value: reader.skip(type) });
    else {
      const inner = MESSAGES[kind]?.[number];
      const payload = reader.bytes();
      fields.push({ number, type, value: inner === undefined ? payload : parse(payload, inner) });
    }
  }
  return fields;
}

function encode(fields: readonly Field[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const { number, type, value } of fields) {
    writer.tag(number, type);
    if (typeof value === "bigint") writer.uint64(BigInt.asUintN(64, value).toString());
    else if (Array.isArray(value)) writer.bytes(encode(value));
    else if (type === WireType.LengthDelimited) writer.bytes(value);
    else writer.raw(value);
  }
  return writer.finish();
}

/** Every list of fields, from the outside in. */
function lists(fields: Field[], found: Field[][] = []): Field[][] {
  if (fields.length > 0) found.push(fields);
  for (const { value } of fields) if (Array.isArray(value)) lists(value, found);
  return found;
}

const NUMBERS = [0n, 1n, -1n, 2n, 7n, 255n, 65535n, 2n ** 20n, 2n ** 31n - 1n, 2n ** 32n, 2n ** 62n, -(2n ** 63n)];

function damage(list: Field[], all: readonly Field[][], random: Xorshift32): void {
  const at = random.int(0, list.length - 1);
  const field = list[at]!;
  const elsewhere = all[random.int(0, all.length - 1)]!;
  const other = elsewhere[random.int(0, elsewhere.length - 1)]!;
  switch (random.int(0, 5)) {
    case 0:
      list.splice(at, 1);
      return;
    case 1:
      list.splice(random.int(0, list.length), 0, field);
      return;
    case 2:
      list[at] = { ...field, number: random.int(1, 16) };
      return;
    case 3:
      // Names of other things: cycles, names used twice, tensors in the place of others.
      if (other.type === field.type && !Array.isArray(other.value)) field.value = other.value;
      return;
    default:
      if (typeof field.value === "bigint") field.value = NUMBERS[random.int(0, NUMBERS.length - 1)]!;
      else if (!Array.isArray(field.value) && field.value.length > 0) {
        field.value = field.value.slice(0, random.int(0, 3) === 0 ? random.int(0, field.value.length) : field.value.length);
        if (field.value.length > 0) field.value[random.int(0, field.value.length - 1)] = random.int(0, 255);
      }
  }
}

/** The file with one to four damages to its fields. */
export function damagedFields(file: Uint8Array, random: Xorshift32): Uint8Array {
  const root = parse(file, "model");
  for (let times = random.int(1, 4); times > 0; times--) {
    const all = lists(root);
    if (all.length > 0) damage(all[random.int(0, all.length - 1)]!, all, random);
  }
  return encode(root);
}

/** The file with bytes changed, moved, cut off. */
export function damagedBytes(file: Uint8Array, random: Xorshift32): Uint8Array {
  let bytes = file.slice();
  for (let times = random.int(1, 4); times > 0 && bytes.length > 0; times--) {
    const at = random.int(0, bytes.length - 1);
    switch (random.int(0, 4)) {
      case 0:
        bytes[at] = random.int(0, 255);
        break;
      case 1:
        bytes[at]! ^= 1 << random.int(0, 7);
        break;
      case 2:
        bytes.fill([0, 127, 128, 255][random.int(0, 3)]!, at, at + random.int(1, 8));
        break;
      case 3:
        bytes.copyWithin(random.int(0, bytes.length - 1), at, at + random.int(1, 64));
        break;
      default:
        if (random.int(0, 3) === 0) bytes = bytes.slice(0, at);
    }
  }
  return bytes;
}
