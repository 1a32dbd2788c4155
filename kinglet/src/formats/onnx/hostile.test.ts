import { describe, expect, it } from "vitest";
import { KingletError, Xorshift32 } from "../../base/index.ts";
import { needShared, zippedFiles } from "../test-files.ts";
import { readOnnx } from "./read.ts";
import { damagedBytes, damagedFields } from "./test-mutations.ts";
import { floats, longs, type TestModel, type TestNode, testOnnx } from "./test-model.ts";

const FLOAT = 1;
const SLOWEST_MS = 5000;
/** Damages of each real file; larger files get fewer, and beyond this size none. */
const MUTATIONS = 150;
const LARGEST = 60_000;

/** What reading comes to: a graph, or a typed error that blames the file. Nothing else may come out. */
function outcome(bytes: Uint8Array): string {
  const start = performance.now();
  try {
    readOnnx(bytes, "hostile.onnx");
    return "read";
  } catch (error) {
    if (!(error instanceof KingletError) || error.code === "internal") throw error;
    return error.code;
  } finally {
    expect(performance.now() - start).toBeLessThan(SLOWEST_MS);
  }
}

function refusal(bytes: Uint8Array): string {
  try {
    readOnnx(bytes, "hostile.onnx");
  } catch (error) {
    if (error instanceof KingletError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return expect.fail("the model was not refused");
}

describe("damaged ONNX files", () => {
  it("are read or refused by one typed error, thousands of real ones", { timeout: 300_000 }, (context) => {
    const random = new Xorshift32(23);
    const counts = new Map<string, number>();
    for (const [, whole] of zippedFiles(needShared(context, "data/models"), ".onnx")) {
      if (whole.length > LARGEST) continue;
      for (let i = 0; i < MUTATIONS; i++)
        for (const damage of [damagedBytes, damagedFields]) {
          const what = outcome(damage(whole, random));
          counts.set(what, (counts.get(what) ?? 0) + 1);
        }
    }
    expect(counts.get("bad-file")).toBeGreaterThan(200);
    expect(counts.get("read")).toBeGreaterThan(50);
    expect([...counts.keys()].sort()).toEqual(["bad-file", "read", "unsupported"]);
  });
});

/** y of x [2], by these nodes. */
function model(nodes: readonly TestNode[], more: Partial<TestModel> = {}): Uint8Array {
  return testOnnx({ inputs: [{ name: "x", type: FLOAT, dims: [2] }], outputs: ["y"], nodes, ...more });
}

const relu = (from: string, to: string): TestNode => ({ op: "Relu", inputs: [from], outputs: [to] });

describe("ONNX files that are whole and make no sense", () => {
  it.each<[string, Uint8Array, RegExp]>([
    ["a cycle", model([{ op: "Add", inputs: ["x", "y"], outputs: ["z"] }, relu("z", "y")]), /reads "y" before anything has produced it/],
    ["a node that reads itself", model([relu("y", "y")]), /reads "y" before/],
    ["two nodes with one result", model([relu("x", "y"), relu("x", "y")]), /produces "y" a second time/],
    ["a node over an input", model([relu("x", "x"), relu("x", "y")]), /produces "x" a second time/],
    [
      "two inputs of one name",
      model([relu("x", "y")], {
        inputs: [
          { name: "x", type: FLOAT, dims: [2] },
          { name: "x", type: FLOAT, dims: [3] },
        ],
      }),
      /listed twice/,
    ],
    [
      "two tensors of one name",
      model([{ op: "Add", inputs: ["x", "w"], outputs: ["y"] }], {
        tensors: [1, 2].map((by) => ({ name: "w", dims: [1], type: FLOAT, raw: floats(by) })),
      }),
      /"w" is stored twice/,
    ],
    ["an output that nothing makes", model([relu("x", "z")]), /"y" is never produced/],
    ["a negative dimension", model([relu("w", "y")], { tensors: [{ name: "w", dims: [-4], type: FLOAT, raw: floats(1) }] }), /is not a shape/],
    [
      "more elements than bytes",
      model([relu("w", "y")], { tensors: [{ name: "w", dims: [30_000, 30_000], type: FLOAT, raw: floats(1) }] }),
      /need 3600000000 bytes, and the file holds 4/,
    ],
    [
      "dimensions beyond counting",
      model([relu("w", "y")], { tensors: [{ name: "w", dims: [2 ** 40, 2 ** 40], type: FLOAT, raw: floats(1) }] }),
      /does not fit any machine/,
    ],
    [
      "a constant that doubles and doubles",
      model(
        [
          ...Array.from(
            { length: 60 },
            (_, i): TestNode => ({ op: "Concat", inputs: [`w${i}`, `w${i}`], outputs: [`w${i + 1}`], attributes: { axis: { int: 0 } } }),
          ),
          relu("w60", "y"),
        ],
        {
          tensors: [{ name: "w0", dims: [1], type: FLOAT, raw: floats(1) }],
        },
      ),
      /shape \[\d+\]/,
    ],
    [
      "a result of a size that was asked for",
      model([{ op: "Expand", inputs: ["x", "s"], outputs: ["y"] }], {
        tensors: [{ name: "s", dims: [3], type: 7, raw: longs(2 ** 30, 2 ** 30, 2) }],
      }),
      /shape \[\d/,
    ],
  ])("%s", (_, bytes, message) => {
    expect(refusal(bytes)).toMatch(message);
  });
});

/** A field with a payload, and numbers of any size before it. */
function field(number: number, payload: Uint8Array): Buffer {
  const head: number[] = [];
  for (let rest = payload.length; ; rest = Math.floor(rest / 128)) {
    head.push(rest > 127 ? (rest & 127) | 128 : rest);
    if (rest <= 127) break;
  }
  return Buffer.concat([Uint8Array.of(((number & 15) << 3) | 2, ...head), payload]);
}

const text = (number: number, value: string): Buffer => field(number, Buffer.from(value));
const OPSET = field(8, Uint8Array.of(16, 17));
const [X, Y] = [11, 12].map((port) =>
  field(port, Buffer.concat([text(1, port === 11 ? "x" : "y"), field(2, field(1, Uint8Array.of(8, 1, 18, 4, 10, 2, 8, 2)))])),
) as [Buffer, Buffer];
const whole = (graph: readonly Uint8Array[], more: readonly Uint8Array[] = []): Buffer =>
  Buffer.concat([Uint8Array.of(8, 8), field(7, Buffer.concat([...graph, X, Y])), OPSET, ...more]);

describe("bombs of protocol buffers", () => {
  const tensor = (...parts: readonly Uint8Array[]): Buffer => field(5, Buffer.concat([Uint8Array.of(16, 1), text(8, "w"), ...parts]));
  const node = (...parts: readonly Uint8Array[]): Buffer => field(1, Buffer.concat([text(1, "x"), text(2, "y"), text(4, "Relu"), ...parts]));
  const many = 5_000_000;

  it("begins as a model does", () => {
    expect(outcome(whole([node()]))).toBe("read");
  });

  it.each<[string, () => Uint8Array, RegExp]>([
    ["a tensor of millions of dimensions", () => whole([node(), tensor(field(1, new Uint8Array(many).fill(1)))]), /more parts than a model can have/],
    ["an attribute of millions of numbers", () => whole([node(field(5, field(8, new Uint8Array(many))))]), /more parts than a model can have/],
    ["millions of names", () => whole([node(Buffer.alloc(3 * many, Uint8Array.of(18, 1, 97)))]), /more parts than a model can have/],
    ["millions of empty nodes", () => whole([Buffer.alloc(many, Uint8Array.of(10, 0))]), /more parts than a model can have/],
    ["a length beyond the file", () => Buffer.concat([Uint8Array.of(8, 8, 58, 255, 255, 255, 255, 7), node()]), /premature EOF/],
    ["a number that does not end", () => Buffer.concat([Uint8Array.of(8), new Uint8Array(64).fill(255)]), /varint/],
    ["groups within groups", () => Buffer.concat([Uint8Array.of(8, 8), new Uint8Array(many).fill(0x7b)]), /recursion depth/],
    [
      "functions that call each other twice",
      () => {
        const calls = (name: string, domain: string): Buffer[] => [
          field(7, Buffer.concat([text(1, "a"), text(2, "t"), text(4, name), text(7, domain)])),
          field(7, Buffer.concat([text(1, "t"), text(2, "b"), text(4, name), text(7, domain)])),
        ];
        const functions = Array.from({ length: 30 }, (_, k) =>
          Buffer.concat([
            // Fields above 15 take two bytes for their number.
            Uint8Array.of(202, 1),
            field(
              0,
              Buffer.concat([
                text(1, `f${k}`),
                text(4, "a"),
                text(5, "b"),
                text(10, "d"),
                ...calls(k === 0 ? "Relu" : `f${k - 1}`, k === 0 ? "" : "d"),
              ]),
            ).subarray(1),
          ]),
        );
        return whole([field(1, Buffer.concat([text(1, "x"), text(2, "y"), text(4, "f29"), text(7, "d")]))], functions);
      },
      /more than 30000 nodes/,
    ],
  ])("%s", (_, bytes, message) => {
    const before = process.memoryUsage().rss;
    const file = bytes();
    expect(refusal(file)).toMatch(message);
    expect(process.memoryUsage().rss - before).toBeLessThan(1e9);
  });
});
