import { expect, test } from "vitest";
import { bytesOf } from "../../kinglet/src/base/index.ts";
import { quantile } from "./interleave.ts";
import { permute } from "./onnx-file.ts";
import { int, message, string } from "./protobuf.ts";

test("protocol buffers: the specification's own examples", () => {
  expect([...int(1, 150)]).toEqual([0x08, 0x96, 0x01]);
  expect([...string(2, "testing")]).toEqual([0x12, 0x07, ...new TextEncoder().encode("testing")]);
  expect([...message(3, int(1, 150))]).toEqual([0x1a, 0x03, 0x08, 0x96, 0x01]);
});

test("dimensions in another order", () => {
  const rows = Int8Array.from({ length: 6 }, (_, i) => i);
  expect([...bytesOf(permute(rows, [1, 1, 3, 2], [0, 3, 1, 2]))]).toEqual([0, 2, 4, 1, 3, 5]);
});

test("quantiles interpolate", () => {
  expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
  expect(quantile([10, 20], 0.1)).toBeCloseTo(11);
});
