import { unzipSync, zipSync } from "fflate";
import { describe, expect, it } from "vitest";
import { type Graph, GraphBuilder } from "../../graph/index.ts";
import { readTflite } from "./read.ts";
import { writeTflite } from "./write.ts";

function withNotes(metadata: Record<string, string>): Graph {
  const b = new GraphBuilder("notes");
  const x = b.input("image", { dtype: "float32", shape: [1, 3] });
  const y = b.value("scores", { dtype: "float32", shape: [1, 3] });
  b.node("softmax", [x], [y], { beta: 1 });
  b.output(y);
  return { ...b.build(), metadata };
}

const metadataOf = (file: Uint8Array): Graph["metadata"] => readTflite(file, "model").metadata;
const again = (metadata: Record<string, string>): Graph["metadata"] => metadataOf(writeTflite(withNotes(metadata)));
const NORMALIZATION = JSON.stringify({ mean: [127.5, 0.25], std: [127.5, 2] });

describe("notes", () => {
  it.each<[string, Record<string, string>]>([
    ["nothing", {}],
    ["a description and texts of any kind", { description: "a model", min_runtime_version: "2.3.0", made: "today\nby hand" }],
    [
      "names, an author and a licence",
      { "model name": "net", "model description": "what it is", "model version": "3", author: "me", license: "MIT" },
    ],
    ["labels and normalization", { labels: "cat\ndog\nGiraffe à pois", normalization: NORMALIZATION }],
    ["normalization that the graph carries out", { normalization: NORMALIZATION, features: '{"kind":"none"}' }],
    ["signatures", { "signature serve": '{"inputs":{"x":0},"outputs":{"y":0}}', "signature other": '{"inputs":{},"outputs":{"z":0}}' }],
  ])("keep %s", (_what, metadata) => expect(again(metadata)).toEqual(metadata));

  it("that are signatures of something else become the one with the values' names", () => {
    expect(again({ "signature odd": "no such thing" })).toEqual({});
  });

  it("leave out the names of subgraphs that were left out before", () => {
    expect(again({ "other subgraphs": "while_body" })).toEqual({});
  });
});

describe("TensorFlow Lite Metadata", () => {
  const file = writeTflite(withNotes({ labels: "cat\ndog", normalization: NORMALIZATION }));
  const text = Buffer.from(file).toString("latin1");

  it("is a FlatBuffer of its own, and the labels lie in a zip archive behind the model", () => {
    expect(text).toContain("TFLITE_METADATA");
    expect(text).toContain("M001");
    expect(Buffer.from(unzipSync(file)["labels.txt"]!).toString()).toBe("cat\ndog\n");
  });

  it("has no normalization to carry out where the graph does that itself", () => {
    const own = writeTflite(withNotes({ labels: "cat", normalization: NORMALIZATION, features: "{}" }));
    const metadata = Buffer.from(own).toString("latin1");
    const mean = Buffer.from(new Float32Array([127.5, 0.25]).buffer).toString("latin1");
    expect([text.includes(mean), metadata.includes(mean)]).toEqual([true, false]);
  });

  it("finds labels in an archive whose positions count from its own start, too", () => {
    const start = text.indexOf("PK\x03\x04");
    const archive = zipSync({ "labels.txt": Buffer.from("one\r\ntwo\r\n") });
    expect(metadataOf(Buffer.concat([file.subarray(0, start), archive]))["labels"]).toBe("one\ntwo");
  });

  it("does without an archive that is damaged, or absent", () => {
    const start = text.indexOf("PK\x03\x04");
    const damaged = file.slice();
    damaged.fill(255, start + 4, start + 40);
    for (const bytes of [damaged, file.subarray(0, start), file.subarray(0, file.length - 3)])
      expect(metadataOf(bytes)).toEqual({ normalization: NORMALIZATION });
  });

  it("does not unpack what is far larger than it claims to be", () => {
    const bomb = zipSync({ "labels.txt": new Uint8Array(2 ** 22) }, { level: 9 });
    const start = text.indexOf("PK\x03\x04");
    expect(metadataOf(Buffer.concat([file.subarray(0, start), bomb]))["labels"]).toBeUndefined();
  });
});
