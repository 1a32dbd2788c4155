import fc from "fast-check";
import { expect, test } from "vitest";
import { Xorshift32 } from "../../base/index.ts";
import { compileAndRunHost } from "../../boards/index.ts";
import { needTools } from "../../boards/tool-gate.ts";
import { encodeFrame, type Frame, FrameReader, MOST_PAYLOAD_BYTES } from "./framing.ts";
import { LINK_SOURCE, linkHeader } from "./link-c.ts";
import { decodeMessage, encodeMessage, type MessageName, MESSAGES } from "./messages.ts";

const byte = fc.integer({ min: 0, max: 255 });
const anyFrame = fc.record({ code: byte, sequence: byte, payload: fc.uint8Array({ maxLength: MOST_PAYLOAD_BYTES }) });

test("frames come out as they went in, however their bytes are cut", () => {
  fc.assert(
    fc.property(fc.array(anyFrame, { maxLength: 5 }), fc.integer({ min: 1, max: 50 }), (frames, piece) => {
      const bytes = Uint8Array.from(frames.flatMap((frame) => [...encodeFrame(frame)]));
      const reader = new FrameReader();
      const read: Frame[] = [];
      for (let at = 0; at < bytes.length; at += piece) read.push(...reader.push(bytes.subarray(at, at + piece)));
      expect(read).toEqual(frames);
    }),
  );
});

test("a frame has no zero but its last byte, and is 9 bytes longer than its payload", () => {
  fc.assert(
    fc.property(anyFrame, (frame) => {
      const bytes = encodeFrame(frame);
      expect(bytes.indexOf(0)).toBe(bytes.length - 1);
      expect(bytes.length).toBe(frame.payload.length + 9);
    }),
  );
});

test("noise makes no frame, and costs at most the one that it touches", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1000 }), anyFrame, anyFrame, (noise, touched, whole) => {
      const reader = new FrameReader();
      expect(reader.push(noise)).toEqual([]);
      const read = reader.push(Uint8Array.of(...encodeFrame(touched), ...encodeFrame(whole)));
      expect(read.at(-1)).toEqual(whole);
    }),
  );
  fc.assert(
    fc.property(anyFrame, fc.nat(300), fc.integer({ min: 1, max: 255 }), (frame, place, change) => {
      const bytes = encodeFrame(frame);
      bytes[place % bytes.length]! ^= change;
      expect(new FrameReader().push(bytes)).toEqual([]);
    }),
    { numRuns: 2000 },
  );
});

test("messages of another length are refused", () => {
  const about = { parameters: 5, samples: 2 ** 32 - 1, layout: 7, memory: 0 };
  expect(decodeMessage("about", encodeMessage("about", about))).toEqual(about);
  const tail = Uint8Array.of(1, 2, 3);
  expect(decodeMessage("learn", encodeMessage("learn", { rate: 0.5, tail }))).toEqual({ rate: 0.5, tail });
  for (const name of Object.keys(MESSAGES) as MessageName[]) {
    const { fields, tail: open } = MESSAGES[name];
    if (Object.keys(fields).length > 0) expect(() => decodeMessage(name, new Uint8Array(0))).toThrow(/0 bytes/);
    if (!open) expect(() => decodeMessage(name, new Uint8Array(100))).toThrow(/100 bytes/);
  }
});

/** Reads bytes and sends each frame that it finds on, with the next sequence. */
const ECHO = `#include <stdio.h>
#include "kinglet_link.h"
static kinglet_reader reader;
static kinglet_frame frame;
uint8_t kinglet_serial_read(void) { return 0; }
void kinglet_serial_write(uint8_t byte) { putchar("0123456789abcdef"[byte >> 4]); putchar("0123456789abcdef"[byte & 15]); }
int main(void) {
  for (int byte = getchar(); byte != EOF; byte = getchar()) {
    if (!kinglet_push(&reader, (uint8_t)byte)) continue;
    const uint32_t length = kinglet_payload_length(&reader);
    memcpy(kinglet_payload_of(&frame), kinglet_payload(&reader), length);
    kinglet_finish(&frame, kinglet_code(&reader), (uint8_t)(kinglet_sequence(&reader) + 1), length);
    kinglet_send(&frame);
  }
  return 0;
}
`;

/** Frames with all kinds of payloads, among noise. */
function troubledStream(): Uint8Array {
  const random = new Xorshift32(19);
  const some = (most: number, value: () => number): number[] => Array.from({ length: random.int(0, most) }, value);
  const pieces = Array.from({ length: 600 }, (_, i) => {
    const payload = Uint8Array.from(some(MOST_PAYLOAD_BYTES, () => (random.int(0, 2) === 0 ? 0 : random.int(0, 255))));
    const bytes = [...encodeFrame({ code: i % 256, sequence: random.int(0, 255), payload })];
    const [kind, at] = [random.int(0, 4), random.int(0, bytes.length - 1)];
    if (kind === 0) bytes[at]! ^= 1 << random.int(0, 7);
    if (kind === 1) bytes.splice(at, random.int(1, 20));
    if (kind === 2) bytes.splice(at, 0, ...some(400, () => random.int(0, 255)));
    return bytes;
  });
  return Uint8Array.from(pieces.flat());
}

test("C finds the same frames in a troubled stream, and writes the same bytes", async (context) => {
  needTools(context, "cc");
  const stream = troubledStream();
  const frames = new FrameReader().push(stream);
  expect(frames.length).toBeGreaterThan(200);
  expect(frames.length).toBeLessThan(600);
  const flags = ["-Wall", "-Wextra", "-Wconversion", "-pedantic", "-fsanitize=address,undefined", "-fno-sanitize-recover"];
  const { stdout, warnings } = await compileAndRunHost({
    sources: { "kinglet_link.h": linkHeader(), "kinglet_link.c": LINK_SOURCE, "main.c": ECHO },
    flags,
    stdin: stream,
  });
  const expected = frames.map((frame) => Buffer.from(encodeFrame({ ...frame, sequence: (frame.sequence + 1) % 256 })).toString("hex"));
  expect(stdout).toBe(expected.join(""));
  expect(warnings).toBe("");
});
