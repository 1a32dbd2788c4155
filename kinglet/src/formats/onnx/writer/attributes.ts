import type { AttributeProto } from "../proto.ts";
import { emptyAttribute } from "../schema.ts";

/** Attributes of the nodes that are written, with the kinds that the format wants beside their contents. */

const KIND = { float: 1, int: 2, text: 3, ints: 7 } as const;

export const int = (name: string, value: number | boolean): AttributeProto => ({ ...emptyAttribute(name), int: BigInt(value), kind: KIND.int });
export const ints = (name: string, values: readonly number[]): AttributeProto => ({
  ...emptyAttribute(name),
  ints: values.map(BigInt),
  kind: KIND.ints,
});
export const float = (name: string, value: number): AttributeProto => ({ ...emptyAttribute(name), float: value, kind: KIND.float });
export const text = (name: string, value: string): AttributeProto => ({
  ...emptyAttribute(name),
  text: new TextEncoder().encode(value),
  kind: KIND.text,
});
