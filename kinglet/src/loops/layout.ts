import { MEMORY_BYTES, type MemoryType } from "./types.ts";

/** Elements around every image of a tensor [n, h, w, c], by rows and columns. */
export interface Border {
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

export const NO_BORDER: Border = { top: 0, bottom: 0, left: 0, right: 0 };

/** How the elements of a tensor lie in memory: channels last, always. */
export interface Layout {
  readonly type: MemoryType;
  /** Taken off every element. */
  readonly zeroPoint: number;
  /** Elements of what padding stands for around every image: a window that reaches over the edge then needs no test. */
  readonly border: Border;
  /** What padding stands for, less `zeroPoint`: 0 where that is the value's own zero point. */
  readonly padding: number;
  /** Elements after the last element, for loads that are wider than what they are needed for. */
  readonly tail: number;
}

/** Elements one after another, as they are stored. */
export function plainLayout(type: MemoryType): Layout {
  return { type, zeroPoint: 0, border: NO_BORDER, padding: 0, tail: 0 };
}

export function sameLayout(a: Layout, b: Layout): boolean {
  const keys = ["top", "bottom", "left", "right"] as const;
  const plain = (["type", "zeroPoint", "padding", "tail"] as const).every((key) => a[key] === b[key]);
  return plain && keys.every((key) => a.border[key] === b.border[key]);
}

/** The images of a tensor with their place in memory, in elements. */
export interface Images {
  readonly batches: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** From a row to the next. */
  readonly row: number;
  /** From an image to the next. */
  readonly image: number;
  /** The first element that is not border. */
  readonly first: number;
  /** All elements, border and tail included. */
  readonly length: number;
}

/** Tensors of other ranks than 4 count as one row of pixels. */
export function imagesOf(shape: readonly number[], layout: Layout): Images {
  const channels = shape[shape.length - 1] ?? 1;
  const count = shape.reduce((product, size) => product * size, 1);
  const [batches, height, width] = shape.length === 4 ? (shape as [number, number, number]) : [1, 1, channels === 0 ? 0 : count / channels];
  const { top, bottom, left, right } = layout.border;
  const row = (left + width + right) * channels;
  const image = (top + height + bottom) * row;
  return { batches, height, width, channels, row, image, first: top * row + left * channels, length: batches * image + layout.tail };
}

function readElement(view: DataView, type: MemoryType, at: number): number | bigint {
  switch (type) {
    case "i8":
      return view.getInt8(at);
    case "u8":
      return view.getUint8(at);
    case "i16":
      return view.getInt16(at, true);
    case "u16":
      return view.getUint16(at, true);
    case "i32":
      return view.getInt32(at, true);
    case "i64":
      return view.getBigInt64(at, true);
    case "f32":
      return view.getUint32(at, true);
  }
}

function writeElement(view: DataView, type: MemoryType, at: number, value: number | bigint): void {
  const bytes = MEMORY_BYTES[type];
  if (bytes === 1) view.setInt8(at, Number(value));
  else if (bytes === 2) view.setInt16(at, Number(value), true);
  else if (bytes === 4) view.setInt32(at, Number(value), true);
  else view.setBigInt64(at, BigInt(value), true);
}

/** The bytes of a tensor without its layout: elements of `type` one after another. */
export function plainBytes(bytes: Uint8Array, shape: readonly number[], layout: Layout, type: MemoryType): Uint8Array {
  const from = imagesOf(shape, layout);
  const run = from.width * from.channels;
  const plain = new Uint8Array(from.batches * from.height * run * MEMORY_BYTES[type]);
  const [source, target] = [new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), new DataView(plain.buffer)];
  for (let line = 0; line < from.batches * from.height; line++) {
    const start = from.first + Math.floor(line / from.height) * from.image + (line % from.height) * from.row;
    for (let i = 0; i < run; i++) {
      const value = readElement(source, layout.type, (start + i) * MEMORY_BYTES[layout.type]);
      writeElement(target, type, (line * run + i) * MEMORY_BYTES[type], typeof value === "bigint" ? value : value + layout.zeroPoint);
    }
  }
  return plain;
}
