import { ByteReader } from "./byte-reader.ts";
import { elementCount } from "../../base/index.ts";
import { newArray, type SampleArray, type SampleDType } from "./recording.ts";
import { refuse } from "./refuse.ts";

/** The array of an idx file (the format of MNIST): big-endian, row-major. */
export interface IdxArray {
  readonly dtype: SampleDType;
  readonly shape: readonly number[];
  readonly data: SampleArray;
}

interface Kind {
  readonly dtype: SampleDType;
  readonly bytes: number;
  readonly read: (view: DataView, at: number) => number;
}

const KINDS: Readonly<Record<number, Kind>> = {
  8: { dtype: "uint8", bytes: 1, read: (view, at) => view.getUint8(at) },
  9: { dtype: "int8", bytes: 1, read: (view, at) => view.getInt8(at) },
  11: { dtype: "int16", bytes: 2, read: (view, at) => view.getInt16(at) },
  12: { dtype: "int32", bytes: 4, read: (view, at) => view.getInt32(at) },
  13: { dtype: "float32", bytes: 4, read: (view, at) => view.getFloat32(at) },
  14: { dtype: "float32", bytes: 8, read: (view, at) => view.getFloat64(at) },
};

const MOST_DIMENSIONS = 8;

/** Reads an unpacked idx file. @throws KingletError `bad-input` where the sizes do not fit the file. */
export function readIdx(bytes: Uint8Array, name: string): IdxArray {
  const reader = new ByteReader(bytes, name);
  if (bytes.length < 4 || reader.u16() !== 0) refuse(name, "the file is not an idx file: it does not begin with two zero bytes");
  const kind = KINDS[reader.u8()];
  const rank = reader.u8();
  if (kind === undefined || rank === 0 || rank > MOST_DIMENSIONS)
    return refuse(name, "the idx header names no known element type or number of dimensions");
  const shape = Array.from({ length: rank }, () => reader.u32(false));
  const needed = elementCount(shape) * kind.bytes;
  if (needed !== reader.left) refuse(name, `the array ${shape.join("×")} needs ${needed} bytes and the file holds ${reader.left}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset + reader.at, reader.left);
  const data = newArray(kind.dtype, elementCount(shape));
  for (let i = 0; i < data.length; i++) data[i] = kind.read(view, i * kind.bytes);
  return { dtype: kind.dtype, shape, data };
}
