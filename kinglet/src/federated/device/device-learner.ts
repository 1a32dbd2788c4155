import { bytesOf, KingletError } from "../../base/index.ts";
import { epochOrder } from "../../data/browser.ts";
import type { Graph } from "../../graph/index.ts";
import { deviceLearning } from "../../train/browser.ts";
import type { Learned, Learner } from "../client/learner.ts";
import type { LocalStart, LocalTraining } from "../local.ts";
import { MOST_PAYLOAD_BYTES } from "./framing.ts";
import { layoutOf } from "./layout.ts";
import { DeviceLink, type LinkOptions, type SerialLine } from "./link.ts";
import { headBytes, type Message, MESSAGES } from "./messages.ts";
import { hasBatchNorm } from "./network.ts";

/** Samples that a device learns from between two answers: few, so that it is never long silent. */
const LESSON_SAMPLES = 8;
/** A lesson names its samples by 16 bits. */
const MOST_SAMPLES = 2 ** 16;
/** Whole floats of a message. */
const PART_BYTES = MOST_PAYLOAD_BYTES - headBytes(MESSAGES.write) - ((MOST_PAYLOAD_BYTES - headBytes(MESSAGES.write)) % 4);

/**
 * A round's training one sample at a time, as devices do it. Steps are as many times smaller as there are more of them, so that an epoch
 * moves about as far (the linear scaling rule; Goyal et al., 2017).
 */
export function oneByOne(local: LocalTraining): LocalTraining {
  return { ...local, batchSize: 1, rate: local.rate / local.batchSize };
}

/** @throws KingletError `unsupported` for what firmware does not do. */
function checkForDevice(network: Graph, { optimizer, proximal, clipNorm, dropout, normalization, augment }: LocalTraining): void {
  const plain = optimizer.kind === "sgd" && (optimizer.momentum ?? 0.9) === 0 && (optimizer.weightDecay ?? 0) === 0;
  const other = [proximal ?? 0, clipNorm ?? 0, dropout ?? 0].some((x) => x !== 0) || normalization !== undefined || (augment?.length ?? 0) > 0;
  if (!plain || other)
    throw new KingletError("unsupported", "a device learns by plain gradient descent alone", {
      hint: "The federation asks for momentum, decay, clipping, dropout, a proximal term, normalization or augmentation: serve it with --devices.",
    });
  if (hasBatchNorm(network))
    throw new KingletError("unsupported", "the federation's network has batch normalization, which a device does not learn", {
      hint: "Serve it with --devices: then it is folded for all clients.",
    });
}

/** A device behind a serial line that runs the firmware of `clientFirmware`; it learns from its own samples. */
export class DeviceLearner implements Learner {
  readonly length: number;
  readonly samples: number;
  readonly memoryBytes: number;
  private readonly link: DeviceLink;
  private readonly local: LocalTraining;

  private constructor(link: DeviceLink, local: LocalTraining, about: Message<"about">) {
    this.link = link;
    this.local = local;
    this.length = about.parameters;
    this.samples = about.samples;
    this.memoryBytes = about.memory;
  }

  /**
   * Greets the device.
   * @throws KingletError `unsupported` for a network or training that firmware does not do; `bad-input` where the firmware is of another network or has no
   * sample; `check-failed` where nobody answers.
   */
  static async open(line: SerialLine, network: Graph, local: LocalTraining, options: LinkOptions = {}): Promise<DeviceLearner> {
    const link = new DeviceLink(line, options);
    try {
      checkForDevice(network, local);
      const about = await link.ask("hello", {}, "about");
      const expected = layoutOf(deviceLearning(network).step);
      if (about.layout !== expected.fingerprint || about.parameters !== expected.length)
        throw new KingletError("bad-input", "the device has the firmware of another network", { hint: "Compile this federation's network for it." });
      if (about.samples > MOST_SAMPLES)
        throw new KingletError("bad-input", `the device has ${about.samples} samples, and at most ${MOST_SAMPLES} can be named`);
      if (about.samples === 0) throw new KingletError("bad-input", "the device has no samples yet");
      return new DeviceLearner(link, local, about);
    } catch (error) {
      await link.close();
      throw error;
    }
  }

  private async write(parameters: Float32Array): Promise<void> {
    const bytes = bytesOf(parameters);
    for (let at = 0; at < bytes.length; at += PART_BYTES) await this.link.ask("write", { at, tail: bytes.subarray(at, at + PART_BYTES) }, "done");
  }

  private async read(): Promise<Float32Array> {
    const all = new Uint8Array(4 * this.length);
    for (let at = 0; at < all.length; at += PART_BYTES) {
      const length = Math.min(PART_BYTES, all.length - at);
      const { tail } = await this.link.ask("read", { at, length }, "numbers");
      if (tail.length !== length) throw new KingletError("check-failed", `the device gave ${tail.length} bytes of ${length}`);
      all.set(tail, at);
    }
    return new Float32Array(all.buffer);
  }

  private async epoch(order: Int32Array, rate: number, signal: AbortSignal | undefined): Promise<void> {
    for (let at = 0; at < order.length; at += LESSON_SAMPLES) {
      if (signal?.aborted === true) throw new KingletError("interrupted", "the training was given up");
      const positions = Uint16Array.from(order.subarray(at, at + LESSON_SAMPLES));
      await this.link.ask("learn", { rate, tail: bytesOf(positions) }, "done");
    }
  }

  async train({ parameters, correction, rate: given = this.local.rate, seed, round }: LocalStart, signal?: AbortSignal): Promise<Learned> {
    if (correction !== undefined) throw new KingletError("unsupported", "a device keeps no control variates (SCAFFOLD)");
    if (parameters.length !== this.length)
      throw new KingletError("bad-input", `${parameters.length} parameters do not fit a device with ${this.length}`);
    const { epochs, rate } = oneByOne({ ...this.local, rate: given });
    await this.write(parameters);
    const positions = Int32Array.from({ length: this.samples }, (_, i) => i);
    for (let epoch = 0; epoch < epochs; epoch++) await this.epoch(epochOrder(positions, seed, round * epochs + epoch), rate, signal);
    const after = await this.read();
    const delta = after.map((x, i) => x - parameters[i]!);
    if (!delta.every(Number.isFinite)) throw new KingletError("check-failed", "what the device learned is no number any more");
    return { delta, samples: this.samples, steps: epochs * this.samples };
  }

  async close(): Promise<void> {
    await this.link.close();
  }
}
