import { KingletError } from "../../base/index.ts";
import { encodeFrame, type Frame, FrameReader } from "./framing.ts";
import { decodeMessage, DEVICE_REFUSALS, encodeMessage, type Message, type MessageName, MESSAGES } from "./messages.ts";

/** A line that carries bytes both ways, and may lose or change some. */
export interface SerialLine {
  send(bytes: Uint8Array): void;
  /** Called with bytes as they come, and once when the line is gone. */
  listen(hear: (bytes: Uint8Array) => void, lost: (why: string) => void): void;
  close(): Promise<void>;
}

export interface LinkOptions {
  /** Milliseconds until a question is asked again. Default 2000. */
  readonly patienceMs?: number;
  /** How often it is asked in all. Default 10. */
  readonly tries?: number;
}

/** A question that waits for its answer. */
interface Waiting {
  readonly sequence: number;
  readonly answer: (frame: Frame) => void;
  readonly fail: (error: KingletError) => void;
}

function refusalText(reason: number): string {
  return Object.values(DEVICE_REFUSALS).find(({ code }) => code === reason)?.means ?? `it says ${reason}`;
}

/** Asks a device one question after another, each until it is answered; the device does once what is asked twice. */
export class DeviceLink {
  private readonly line: SerialLine;
  private readonly patienceMs: number;
  private readonly tries: number;
  private readonly reader = new FrameReader();
  private sequence = 0;
  private waiting: Waiting | undefined;
  private lost: KingletError | undefined;

  constructor(line: SerialLine, { patienceMs = 2000, tries = 10 }: LinkOptions = {}) {
    this.line = line;
    this.patienceMs = patienceMs;
    this.tries = tries;
    line.listen(
      (bytes) => this.hear(bytes),
      (why) => {
        this.lost = new KingletError("check-failed", `the device is gone: ${why}`);
        this.waiting?.fail(this.lost);
      },
    );
  }

  private hear(bytes: Uint8Array): void {
    for (const frame of this.reader.push(bytes)) if (frame.sequence === this.waiting?.sequence) this.waiting.answer(frame);
  }

  private exchange(question: Uint8Array, sequence: number): Promise<Frame> {
    return new Promise((done, fail) => {
      let left = this.tries;
      let timer: ReturnType<typeof setTimeout> | undefined;
      const end = (): void => {
        clearTimeout(timer);
        this.waiting = undefined;
      };
      this.waiting = {
        sequence,
        answer: (frame) => {
          end();
          done(frame);
        },
        fail: (error) => {
          end();
          fail(error);
        },
      };
      const ask = (): void => {
        if (left-- === 0) {
          this.waiting?.fail(
            new KingletError("check-failed", `the device does not answer, asked ${this.tries} times`, { hint: "Is it the right port and speed?" }),
          );
          return;
        }
        this.line.send(question);
        timer = setTimeout(ask, this.patienceMs);
      };
      ask();
    });
  }

  /**
   * Asks, and gives the answer.
   * @throws KingletError `check-failed` where the device is silent, gone, or refuses.
   */
  async ask<Q extends MessageName, A extends MessageName>(name: Q, question: Message<Q>, answer: A): Promise<Message<A>> {
    if (this.lost !== undefined) throw this.lost;
    if (this.waiting !== undefined) throw new KingletError("internal", "a device is asked two things at once");
    this.sequence = (this.sequence + 1) % 256;
    const { sequence } = this;
    // The zero before it ends whatever noise came first.
    const frame = encodeFrame({ code: MESSAGES[name].code, sequence, payload: encodeMessage(name, question) });
    const { code, payload } = await this.exchange(Uint8Array.of(0, ...frame), sequence);
    if (code === MESSAGES.refused.code)
      throw new KingletError("check-failed", `the device refuses: ${refusalText(decodeMessage("refused", payload).reason)}`);
    if (code !== MESSAGES[answer].code) throw new KingletError("check-failed", `the device answers "${name}" with message ${code}`);
    return decodeMessage(answer, payload);
  }

  async close(): Promise<void> {
    await this.line.close();
  }
}
