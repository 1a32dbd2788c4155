import { readFileSync } from "node:fs";
import { join } from "node:path";
import { builder } from "flatbuffers/mjs/flexbuffers.js";
import { describe, expect, it } from "vitest";
import { crc32 } from "../../base/index.ts";
import { execute } from "../../driver/index.ts";
import { runPasses } from "../../passes/index.ts";
import { needShared } from "../test-files.ts";
import { readTflite } from "./read.ts";
import { int32Bytes, testModel } from "./test-model.ts";

interface Stored {
  readonly samples: readonly {
    readonly ops: readonly {
      readonly op: string;
      readonly out: readonly { readonly name?: string; readonly index: number; readonly crc32: string }[];
    }[];
  }[];
}

describe("the audio front end of TensorFlow Lite Micro", () => {
  it("gives the stored bits after every operator", async (context) => {
    const folder = needShared(context, join("golden", "audio_preprocessor_float"));
    const graph = readTflite(new Uint8Array(readFileSync(join(folder, "model.tflite"))), "audio");
    const { samples } = JSON.parse(readFileSync(join(folder, "golden.json"), "utf8")) as Stored;
    const names = new Map(samples[0]!.ops.flatMap(({ out }) => out.map(({ index, name }) => [index, name!] as const)));
    for (const [s, { ops }] of samples.entries()) {
      const { values } = await execute(graph, "plain", [[new Uint8Array(readFileSync(join(folder, `in${s + 1}.bin`)))]], { values: true });
      for (const { op, out } of ops) {
        for (const { index, crc32: stored } of out) {
          const value = graph.values.find(({ name }) => name === names.get(index))!;
          // Bins outside the range of SignalEnergy stay as they were in that engine; they are cut away behind it.
          const bytes = values!.get(value.id);
          if (bytes !== undefined) expect(crc32(bytes), `sample ${s + 1}, ${op}, ${value.name}`).toBe(Number.parseInt(stored, 16));
        }
      }
    }
  });
});

/** A map of numbers in bytes, as flatbuffers writes it. */
function flexMap(entries: Readonly<Record<string, number | boolean>>): Uint8Array {
  const b = builder();
  b.startMap();
  for (const [name, value] of Object.entries(entries)) {
    b.addKey(name);
    if (typeof value === "boolean") b.add(value);
    else b.addInt(value);
  }
  b.end();
  return b.finish();
}

describe("streams", () => {
  const model = (op: string, options: Uint8Array, from: number[], to: number[]): Uint8Array => {
    const tensors = [
      { type: "int16" as const, shape: from },
      { type: "int16" as const, shape: to },
      { type: "bool" as const, shape: [] },
    ];
    return testModel([{ tensors, inputs: [0], outputs: [1, 2], operators: [{ op, inputs: [0], outputs: [1, 2], customOptions: options }] }]);
  };

  it("are framed, with a memory for each row", () => {
    const graph = readTflite(model("SignalFramer", flexMap({ frame_size: 480, frame_step: 320, prefill: true }), [2, 640], [2, 2, 480]), "framer");
    expect(graph.nodes[0]!.attributes).toEqual({ chunk: 320, size: 480, step: 320, prefill: true, repeatFirst: 0, flat: false });
    expect(graph.nodes[0]!.inputs[1]).toMatchObject({ variable: true, shape: [2, 642] });
    expect(runPasses(graph).nodes).toHaveLength(1);
  });

  it("of feature vectors are stacked", () => {
    const options = flexMap({ num_channels: 40, stacker_left_context: 2, stacker_right_context: 1, stacker_step: 3 });
    const graph = readTflite(model("SignalStacker", options, [40], [160]), "stacker");
    expect(graph.nodes[0]!.attributes).toEqual({ chunk: 40, size: 160, step: 120, prefill: false, repeatFirst: 2, flat: true });
    expect(runPasses(graph).nodes).toHaveLength(1);
  });
});

/** One custom operator on int16 [1, 8] with a constant window. */
function windowModel(options: Uint8Array | undefined, name = "SignalWindow"): Uint8Array {
  const tensors = [
    { type: "int16" as const, shape: [1, 8] },
    { type: "int16" as const, shape: [8], data: new Uint8Array(16) },
    { type: "int16" as const, shape: [1, 8] },
  ];
  const operator = { op: name, inputs: [0, 1], outputs: [2], ...(options === undefined ? {} : { customOptions: options }) };
  return testModel([{ tensors, inputs: [0], outputs: [2], operators: [operator] }]);
}

const SHIFT_12 = Uint8Array.from([0x73, 0x68, 0x69, 0x66, 0x74, 0, 1, 7, 1, 1, 1, 12, 4, 2, 0x24, 1]);

describe("custom operators", () => {
  it("are read by name, with their options", () => {
    const [node] = readTflite(windowModel(SHIFT_12), "window").nodes;
    expect(node!.op).toBe("signalWindow");
    expect(node!.attributes).toEqual({ shift: 12 });
  });

  it("say which option is missing, and that damaged ones are damaged", () => {
    expect(() => readTflite(windowModel(undefined), "w")).toThrow('lack "shift"');
    expect(() => readTflite(windowModel(int32Bytes(-1, -1)), "w")).toThrow("custom options");
  });

  it("that Kinglet lacks are named", () => {
    expect(() => readTflite(windowModel(SHIFT_12, "SignalDelay"), "w")).toThrow('custom operator "SignalDelay" (1×)');
  });
});
