import { expect, test } from "vitest";
import { bytesOf, elementCount, fromBytes, Xorshift32 } from "../../base/index.ts";
import { compileAndRunHost, coreById, startOnCore } from "../../boards/index.ts";
import { coreTools, needTools } from "../../boards/tool-gate.ts";
import { datasetFromArrays } from "../../data/index.ts";
import { calibrate, execute } from "../../driver/index.ts";
import { writeKinglet } from "../../formats/index.ts";
import { type Graph, GraphBuilder, type Value } from "../../graph/index.ts";
import { applyOp } from "../../ops/index.ts";
import { prepareForQuantization, quantizeGraph } from "../../passes/index.ts";
import { mlp } from "../../zoo/index.ts";
import { LocalTrainer, type LocalTraining } from "../local.ts";
import { deviceLearning } from "../../train/index.ts";
import { layoutOf } from "./layout.ts";
import { encodeFrame, type Frame, FrameReader } from "./framing.ts";
import { decodeMessage, DEVICE_REFUSALS, encodeMessage, type Message, type MessageName, MESSAGES } from "./messages.ts";
import { clientFirmware, DeviceLearner, emulatedMain, networkForDevices, oneByOne, samplesSource, type SerialLine } from "./index.ts";

const [SAMPLES, INPUTS, CLASSES] = [20, 6, 3];
const random = new Xorshift32(11);
const features = Float32Array.from({ length: SAMPLES * INPUTS }, () => random.float());
const labels = Array.from({ length: SAMPLES }, (_, i) => i % CLASSES);
const dataset = datasetFromArrays({ data: features, shape: [INPUTS], labels, classes: ["a", "b", "c"] });
const positions = Int32Array.from({ length: SAMPLES }, (_, i) => i);
const network = mlp({ inputs: INPUTS, hidden: [40], classes: CLASSES });
const LOCAL: LocalTraining = { optimizer: { kind: "sgd", momentum: 0 }, epochs: 2, batchSize: 4, rate: 0.4 };

async function started(network: Graph): Promise<SerialLine> {
  const { id, sources } = clientFirmware(network, { id: "net", board: "nucleo-l4r5zi" });
  const samples = { "samples.c": samplesSource(id, { features, labels }), "main.c": emulatedMain(id) };
  return await startOnCore({ core: "cortex-m4", sources: { ...sources, ...samples } });
}

/** A line that flips a bit, loses or doubles a piece, or adds one, every now and then. */
function noisy(line: SerialLine): SerialLine & { readonly harm: () => number } {
  const chance = new Xorshift32(3);
  let count = 0;
  const spoiled = (bytes: Uint8Array): Uint8Array => {
    if (chance.int(0, 9) !== 0) return bytes;
    count++;
    const at = chance.int(0, bytes.length - 1);
    const kind = chance.int(0, 3);
    if (kind === 0) return bytes.map((byte, i) => (i === at ? byte ^ (1 << chance.int(0, 7)) : byte));
    if (kind === 1) return bytes.filter((_, i) => i !== at);
    if (kind === 2) return Uint8Array.of(...bytes, ...bytes);
    return Uint8Array.of(...bytes.subarray(0, at), chance.int(0, 255), ...bytes.subarray(at));
  };
  return {
    send: (bytes) => line.send(spoiled(bytes)),
    listen: (hear, lost) => line.listen((bytes) => hear(spoiled(bytes)), lost),
    close: () => line.close(),
    harm: () => count,
  };
}

test("an emulated Cortex-M4 behind a noisy line learns rounds as a trainer of this machine does, bit for bit", async (context) => {
  needTools(context, ...coreTools(coreById("cortex-m4")));
  const line = noisy(await started(network));
  const learner = await DeviceLearner.open(line, network, LOCAL, { patienceMs: 200, tries: 50 });
  try {
    const trainer = new LocalTrainer(network, oneByOne(LOCAL));
    expect(learner.length).toBe(trainer.length);
    expect(learner.samples).toBe(SAMPLES);
    let parameters = trainer.initialParameters();
    for (const [round, rate] of [
      [1, LOCAL.rate],
      [2, LOCAL.rate / 2],
    ] as const) {
      const start = { parameters, seed: 77, round };
      const learned = await learner.train({ ...start, rate });
      expect({ client: 5, ...learned }).toEqual(await trainer.train(dataset, positions, 5, { ...start, ...oneByOne({ ...LOCAL, rate }) }));
      parameters = parameters.map((x, i) => x + learned.delta[i]!);
    }
    expect(line.harm()).toBeGreaterThan(5);
  } finally {
    await learner.close();
  }
});

/** The client on this computer: bytes come from stdin, and it ends with them. */
const HOST_MAIN = `#include <stdio.h>
#include <stdlib.h>
#include "kinglet_link.h"
#include "net_client.h"
uint8_t kinglet_serial_read(void) {
  const int byte = getchar();
  if (byte == EOF) exit(0);
  return (uint8_t)byte;
}
void kinglet_serial_write(uint8_t byte) { putchar("0123456789abcdef"[byte >> 4]); putchar("0123456789abcdef"[byte & 15]); }
int main(void) { net_client(); }
`;

/** What a client of three samples answers to these questions, in C with sanitizers. */
async function answers(questions: readonly Frame[]): Promise<Frame[]> {
  const { id, sources } = clientFirmware(network, { id: "net" });
  const few = { features: features.subarray(0, 3 * INPUTS), labels: labels.slice(0, 3) };
  const { stdout, warnings } = await compileAndRunHost({
    sources: { ...sources, "samples.c": samplesSource(id, few), "main.c": HOST_MAIN },
    flags: ["-Wall", "-Wextra", "-Wconversion", "-pedantic", "-fsanitize=address,undefined", "-fno-sanitize-recover"],
    stdin: Uint8Array.from(questions.flatMap((question) => [...encodeFrame(question)])),
  });
  expect(warnings).toBe("");
  return new FrameReader().push(Buffer.from(stdout, "hex"));
}

/** Questions one after another, each with its own sequence. */
class Script {
  readonly frames: Frame[] = [];

  ask<M extends MessageName>(name: M, message: Message<M>): this {
    return this.raw(MESSAGES[name].code, encodeMessage(name, message));
  }

  raw(code: number, payload: Uint8Array): this {
    this.frames.push({ code, sequence: this.frames.length % 256, payload });
    return this;
  }

  /** The last question once more. */
  again(): this {
    this.frames.push(this.frames.at(-1)!);
    return this;
  }
}

const WEIGHTS = new LocalTrainer(network, LOCAL).initialParameters();

function begun(script: Script, weights: Float32Array = WEIGHTS): Script {
  const bytes = new Uint8Array(weights.slice().buffer);
  for (let at = 0; at < bytes.length; at += 200) script.ask("write", { at, tail: bytes.subarray(at, at + 200) });
  return script;
}

test("a device refuses what it cannot do, with nothing learned; and learns nothing twice", async (context) => {
  needTools(context, "cc");
  const lesson = (...places: number[]): Message<"learn"> => ({ rate: 0.1, tail: new Uint8Array(Uint16Array.from(places).buffer) });
  const first = { at: 0, length: 24 };
  const script = new Script()
    .ask("hello", {})
    .ask("learn", lesson(0))
    .ask("read", first)
    .ask("write", { at: 8, tail: new Uint8Array(4) });
  const early = script.frames.length;
  begun(script)
    .ask("learn", lesson(3))
    .ask("learn", lesson(0, 1, 3))
    .ask("read", first)
    .ask("read", { at: 4 * WEIGHTS.length - 3, length: 4 });
  script
    .raw(77, new Uint8Array(3))
    .raw(MESSAGES.learn.code, new Uint8Array(2))
    .ask("learn", lesson(0))
    .again()
    .again()
    .ask("read", { at: 0, length: 240 });
  const got = await answers(script.frames);
  expect(got).toHaveLength(script.frames.length);
  const reason = ({ code, payload }: Frame): number => (code === MESSAGES.refused.code ? decodeMessage("refused", payload).reason : 0);
  const { unknown, range, order } = DEVICE_REFUSALS;
  expect(got.slice(0, early).map(reason)).toEqual([0, order.code, order.code, order.code]);
  const late = got.slice(-10);
  expect(late.map(reason)).toEqual([range.code, range.code, 0, range.code, unknown.code, unknown.code, 0, 0, 0, 0]);
  expect(decodeMessage("numbers", late[2]!.payload).tail).toEqual(new Uint8Array(WEIGHTS.slice(0, 6).buffer));
  const trainer = new LocalTrainer(network, { ...LOCAL, epochs: 1, batchSize: 1, rate: 0.1 });
  const { delta } = await trainer.train(dataset, Int32Array.of(0), 0, { parameters: WEIGHTS, seed: 1, round: 1 });
  const once = new Float32Array(decodeMessage("numbers", late[9]!.payload).tail.slice().buffer);
  expect(once.map((x, i) => x - WEIGHTS[i]!)).toEqual(delta.slice(0, 60));
});

test("thousands of senseless questions do a device no harm", async (context) => {
  needTools(context, "cc");
  const chance = new Xorshift32(23);
  const script = new Script();
  for (let i = 0; i < 5000; i++) {
    if (i % 500 === 0) begun(script);
    const payload = Uint8Array.from({ length: chance.int(0, 3) === 0 ? chance.int(0, 240) : chance.int(0, 9) }, () =>
      chance.int(0, 2) === 0 ? chance.int(0, 255) : 0,
    );
    script.raw(chance.int(0, 11), payload);
  }
  expect(await answers(script.frames)).toHaveLength(script.frames.length);
});

test("memory that is too small is refused", () => {
  expect(() => clientFirmware(network, { ram: 1000 })).toThrow(/bytes, and there are 1000/);
});

test("a quantized network is refused: updates are of floats", () => {
  const source = prepareForQuantization(network);
  const { graph } = quantizeGraph(source, { ranges: calibrate(source, [[bytesOf(features.slice(0, INPUTS))]]), io: "int8" });
  expect(() => clientFirmware(graph)).toThrow(/learns float32, and weights of this network are int8/);
});

/** A layer, its normalization with statistics that are not the first ones, and classes. */
function normalized(): Graph {
  const b = new GraphBuilder("normalized");
  const floats = (name: string, shape: number[], low = -1): Value =>
    b.constant(
      name,
      { dtype: "float32", shape },
      Float32Array.from({ length: elementCount(shape) }, () => low + ((1 - low) * (random.float() + 1)) / 2),
    );
  const x = b.input("x", { dtype: "float32", shape: [1, INPUTS] });
  const [sums] = applyOp(b, "fullyConnected", [x, floats("w", [8, INPUTS]), null], { activation: "none" }, "dense");
  const norm = [floats("scale", [8], 0.5), floats("offset", [8]), floats("mean", [8]), floats("variance", [8], 0.2)];
  const [hidden] = applyOp(b, "batchNorm", [sums!, ...norm], { epsilon: 1e-3, activation: "relu" }, "norm");
  b.output(applyOp(b, "fullyConnected", [hidden!, floats("w2", [CLASSES, 8]), floats("b2", [CLASSES])], { activation: "none" }, "logits")[0]!);
  return b.build();
}

test("batch normalization is folded for all clients: an emulated Cortex-M4 learns what a trainer of this machine does", async (context) => {
  const given = normalized();
  const folded = networkForDevices(given);
  const trainer = new LocalTrainer(folded, oneByOne(LOCAL));
  expect(trainer.length).toBe(8 * INPUTS + 8 + 8 * CLASSES + CLASSES);
  expect(clientFirmware(given).parameters).toBe(trainer.length);
  expect(writeKinglet(folded).length).toBeLessThan(writeKinglet(given).length);
  const answers = async (network: Graph): Promise<Float32Array> => {
    const { outputs } = await execute(network, "plain", [[bytesOf(features.slice(0, INPUTS))]]);
    return fromBytes("float32", outputs[0]![0]!) as Float32Array;
  };
  const before = await answers(given);
  (await answers(folded)).forEach((x, i) => expect(x).toBeCloseTo(before[i]!, 5));
  await expect(
    DeviceLearner.open(
      answering(() => undefined),
      given,
      LOCAL,
    ),
  ).rejects.toThrow(/batch normalization/);
  needTools(context, ...coreTools(coreById("cortex-m4")));
  const learner = await DeviceLearner.open(await started(given), folded, LOCAL);
  try {
    const start = { parameters: trainer.initialParameters(), seed: 77, round: 1 };
    expect({ client: 5, ...(await learner.train(start)) }).toEqual(await trainer.train(dataset, positions, 5, start));
  } finally {
    await learner.close();
  }
});

test("a normalization without a layer before it is refused", () => {
  const b = new GraphBuilder("bare");
  const ones = (name: string): Value => b.constant(name, { dtype: "float32", shape: [2] }, Float32Array.of(1, 1));
  const x = b.input("x", { dtype: "float32", shape: [1, 2] });
  b.output(applyOp(b, "batchNorm", [x, ones("a"), ones("b"), ones("c"), ones("d")], { epsilon: 1e-3, activation: "none" }, "norm")[0]!);
  expect(() => networkForDevices(b.build())).toThrow(/no layer before it/);
});

/** A device that is there only in words. */
function answering(answer: (frame: Frame) => Frame | undefined): SerialLine {
  let hear: (bytes: Uint8Array) => void = () => {};
  const reader = new FrameReader();
  return {
    send: (bytes) => {
      for (const frame of reader.push(bytes)) {
        const reply = answer(frame);
        if (reply !== undefined) queueMicrotask(() => hear(encodeFrame(reply)));
      }
    },
    listen: (listener) => {
      hear = listener;
    },
    close: async () => {},
  };
}

test("a silent device, numbers that are none, another network's, and training that firmware does not do are refused", async () => {
  const open = (line: SerialLine, local = LOCAL) => DeviceLearner.open(line, network, local, { patienceMs: 5, tries: 3 });
  await expect(open(answering(() => undefined))).rejects.toThrow(/does not answer, asked 3 times/);
  const about = { parameters: WEIGHTS.length, samples: 4, layout: 1, memory: 100 };
  const other = answering(({ sequence }) => ({ code: MESSAGES.about.code, sequence, payload: encodeMessage("about", about) }));
  await expect(open(other)).rejects.toThrow(/another network/);

  const layout = layoutOf(deviceLearning(network).step).fingerprint;
  const many = answering(({ sequence }) => ({
    code: MESSAGES.about.code,
    sequence,
    payload: encodeMessage("about", { ...about, layout, samples: 70_000 }),
  }));
  await expect(open(many)).rejects.toThrow(/70000 samples, and at most 65536/);
  const broken = answering(({ code, sequence, payload }) => {
    const reply = <M extends MessageName>(name: M, message: Message<M>): Frame => ({
      code: MESSAGES[name].code,
      sequence,
      payload: encodeMessage(name, message),
    });
    if (code === MESSAGES.hello.code) return reply("about", { ...about, layout });
    if (code !== MESSAGES.read.code) return reply("done", {});
    return reply("numbers", { tail: new Uint8Array(decodeMessage("read", payload).length).fill(255) });
  });
  const learner = await open(broken);
  await expect(learner.train({ parameters: WEIGHTS, seed: 1, round: 1 })).rejects.toThrow(/no number any more/);
  await expect(open(other, { ...LOCAL, optimizer: { kind: "sgd" } })).rejects.toThrow(/plain gradient descent/);
});
