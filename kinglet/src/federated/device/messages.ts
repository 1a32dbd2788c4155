import { KingletError } from "../../base/index.ts";

/** Fixed numbers of a message, little-endian, in their order. */
type FieldType = "u8" | "u16" | "u32" | "f32";

/** What a message looks like: its number, its fields, and whether bytes follow them. */
export interface MessageLayout {
  readonly code: number;
  readonly fields: Readonly<Record<string, FieldType>>;
  readonly tail: boolean;
  /** For the header of the C side, which is printed from this table. */
  readonly means: string;
}

/** Of frames and messages; both sides refuse another one. */
export const DEVICE_PROTOCOL = 1;

/** All that a gateway and a device say to each other. The gateway asks, the device answers each question once. */
export const MESSAGES = {
  hello: { code: 1, fields: {}, tail: false, means: "Who are you? Forgets what was begun." },
  about: {
    code: 2,
    fields: { parameters: "u32", samples: "u32", layout: "u32", memory: "u32" },
    tail: false,
    means: "Numbers that it learns, samples that it has, the fingerprint of names and shapes of what it learns, and bytes that learning needs.",
  },
  write: { code: 3, fields: { at: "u32" }, tail: true, means: "Bytes of a round's parameters, float32, in their order from 0 on." },
  done: { code: 4, fields: {}, tail: false, means: "It is written, or learned." },
  learn: { code: 5, fields: { rate: "f32" }, tail: true, means: "Learn from the samples at these positions (u16), one after the other." },
  read: { code: 6, fields: { at: "u32", length: "u8" }, tail: false, means: "Give so many bytes of the parameters as they are now." },
  numbers: { code: 7, fields: {}, tail: true, means: "These bytes." },
  refused: { code: 8, fields: { reason: "u8" }, tail: false, means: "It cannot; nothing has changed." },
} as const satisfies Record<string, MessageLayout>;

export type MessageName = keyof typeof MESSAGES;
type FieldsOf<M extends MessageName> = { readonly [F in keyof (typeof MESSAGES)[M]["fields"]]: number };
type TailOf<M extends MessageName> = (typeof MESSAGES)[M]["tail"] extends true ? { readonly tail: Uint8Array } : unknown;
/** A message's numbers by name, and the bytes after them. */
export type Message<M extends MessageName> = FieldsOf<M> & TailOf<M>;

/** Why a device refuses. */
export const DEVICE_REFUSALS = {
  unknown: { code: 1, means: "it does not know this message" },
  range: { code: 2, means: "a position or an address is outside of what it has" },
  order: { code: 3, means: "the round's parameters are not all there: it was started again" },
} as const;

export const FIELD_BYTES: Readonly<Record<FieldType, number>> = { u8: 1, u16: 2, u32: 4, f32: 4 };

/** Bytes of the fields. */
export function headBytes({ fields }: MessageLayout): number {
  return Object.values(fields).reduce((sum, type) => sum + FIELD_BYTES[type], 0);
}

const SETTERS = {
  u8: (view: DataView, at: number, value: number) => view.setUint8(at, value),
  u16: (view: DataView, at: number, value: number) => view.setUint16(at, value, true),
  u32: (view: DataView, at: number, value: number) => view.setUint32(at, value, true),
  f32: (view: DataView, at: number, value: number) => view.setFloat32(at, value, true),
} as const satisfies Record<FieldType, unknown>;

const GETTERS = {
  u8: (view: DataView, at: number) => view.getUint8(at),
  u16: (view: DataView, at: number) => view.getUint16(at, true),
  u32: (view: DataView, at: number) => view.getUint32(at, true),
  f32: (view: DataView, at: number) => view.getFloat32(at, true),
} as const satisfies Record<FieldType, unknown>;

/** The payload of a frame. */
export function encodeMessage<M extends MessageName>(name: M, message: Message<M>): Uint8Array {
  const layout: MessageLayout = MESSAGES[name];
  const { tail = new Uint8Array(0), ...numbers } = message as { readonly tail?: Uint8Array } & Record<string, number>;
  const bytes = new Uint8Array(headBytes(layout) + tail.length);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [field, type] of Object.entries(layout.fields)) {
    SETTERS[type](view, at, numbers[field]!);
    at += FIELD_BYTES[type];
  }
  bytes.set(tail, at);
  return bytes;
}

/** Reads the payload of a frame. @throws KingletError `bad-input` where its length is another. */
export function decodeMessage<M extends MessageName>(name: M, payload: Uint8Array): Message<M> {
  const layout: MessageLayout = MESSAGES[name];
  const head = headBytes(layout);
  if (payload.length < head || (!layout.tail && payload.length !== head))
    throw new KingletError("bad-input", `a device's message "${name}" has ${payload.length} bytes`);
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const numbers: Record<string, number> = {};
  let at = 0;
  for (const [field, type] of Object.entries(layout.fields)) {
    numbers[field] = GETTERS[type](view, at);
    at += FIELD_BYTES[type];
  }
  return { ...numbers, ...(layout.tail ? { tail: payload.slice(head) } : {}) } as unknown as Message<M>;
}
