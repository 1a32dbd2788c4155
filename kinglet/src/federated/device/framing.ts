import { crc32, KingletError } from "../../base/index.ts";
import { DEVICE_PROTOCOL } from "./messages.ts";

/** What travels between two zeros. */
export interface Frame {
  readonly code: number;
  /** An answer has its question's. */
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** Protocol, code, sequence. */
export const FRAME_HEAD_BYTES = 3;
export const FRAME_CHECKSUM_BYTES = 4;
/** With head and checksum fewer than 254 bytes, so that no run without a zero is longer than its length byte can say. */
export const MOST_PAYLOAD_BYTES = 240;
export const MOST_FRAME_BYTES: number = FRAME_HEAD_BYTES + MOST_PAYLOAD_BYTES + FRAME_CHECKSUM_BYTES;

/** Replaces zeros by the distance to the next one (consistent overhead byte stuffing; Cheshire & Baker, 1999) and ends in a zero. */
function stuffed(body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(body.length + 2);
  let code = 0;
  body.forEach((byte, i) => {
    bytes[i + 1] = byte;
    if (byte !== 0) return;
    bytes[code] = i + 1 - code;
    code = i + 1;
  });
  bytes[code] = body.length + 1 - code;
  return bytes;
}

/** A frame as it travels: a zero stands at its end and nowhere else, so a reader finds the next one after any noise. */
export function encodeFrame({ code, sequence, payload }: Frame): Uint8Array {
  if (payload.length > MOST_PAYLOAD_BYTES) throw new KingletError("internal", `${payload.length} bytes do not fit into a frame`);
  const body = new Uint8Array(FRAME_HEAD_BYTES + payload.length + FRAME_CHECKSUM_BYTES);
  body.set([DEVICE_PROTOCOL, code, sequence]);
  body.set(payload, FRAME_HEAD_BYTES);
  const end = body.length - FRAME_CHECKSUM_BYTES;
  new DataView(body.buffer).setUint32(end, crc32(body.subarray(0, end)), true);
  return stuffed(body);
}

/** Finds frames in bytes as they come; what is none is passed over. */
export class FrameReader {
  private readonly body = new Uint8Array(MOST_FRAME_BYTES);
  private length = 0;
  /** Bytes until the next zero of the body. */
  private left = 0;
  private begun = false;
  private damaged = false;

  private append(byte: number): void {
    if (this.length === MOST_FRAME_BYTES) this.damaged = true;
    else this.body[this.length++] = byte;
  }

  private finished(): Frame | undefined {
    const { body, length } = this;
    const end = length - FRAME_CHECKSUM_BYTES;
    if (this.damaged || this.left !== 0 || end < FRAME_HEAD_BYTES || body[0] !== DEVICE_PROTOCOL) return undefined;
    if (new DataView(body.buffer).getUint32(end, true) !== crc32(body.subarray(0, end))) return undefined;
    return { code: body[1]!, sequence: body[2]!, payload: body.slice(FRAME_HEAD_BYTES, end) };
  }

  private take(byte: number): Frame | undefined {
    if (byte === 0) {
      const frame = this.finished();
      [this.length, this.left, this.begun, this.damaged] = [0, 0, false, false];
      return frame;
    }
    if (this.left === 0) {
      if (this.begun) this.append(0);
      this.begun = true;
      this.left = byte - 1;
    } else {
      this.append(byte);
      this.left--;
    }
    return undefined;
  }

  /** The frames that end in these bytes. */
  push(bytes: Uint8Array): Frame[] {
    return [...bytes].flatMap((byte) => this.take(byte) ?? []);
  }
}
