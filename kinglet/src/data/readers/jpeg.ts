import jpeg from "jpeg-js";
import { ByteReader } from "./byte-reader.ts";
import type { Recording } from "./recording.ts";
import { refuse } from "./refuse.ts";

/** A block of 64 pixels takes a bit at least, so a larger picture than this per byte is a lie. */
const PIXELS_PER_BYTE = 512;
const MOST_PIXELS = 2 ** 25;
const MOST_MEGABYTES = 1024;
/** Progressive pictures come in about ten scans; each one costs time for the whole picture. */
const MOST_SCANS = 100;
const [START, SCAN, END] = [0xd8, 0xda, 0xd9];

interface Frame {
  readonly width: number;
  readonly height: number;
  readonly components: number;
}

const isFrame = (marker: number): boolean => marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);

/** Finds the frame and counts the scans, so that the decoder is only given what it finishes soon. */
function survey(bytes: Uint8Array, name: string): Frame {
  const reader = new ByteReader(bytes, name);
  if (bytes.length < 4 || reader.u8() !== 0xff || reader.u8() !== START) refuse(name, "the file is not a JPEG picture");
  let [frame, scans]: [Frame | null, number] = [null, 0];
  while (reader.left >= 2) {
    if (reader.u8() !== 0xff) continue;
    const marker = reader.u8();
    if (marker === END) break;
    // Inside a scan 0xff is followed by 0 or a restart; 0xff itself may be repeated as padding.
    if (marker === 0 || marker === 0xff || (marker >= 0xd0 && marker <= 0xd7)) continue;
    const length = reader.u16(false);
    const segment = new ByteReader(reader.take(Math.max(0, length - 2)), name);
    if (marker === SCAN) scans++;
    if (!isFrame(marker)) continue;
    if (frame !== null) refuse(name, "the picture has two frames");
    segment.take(1);
    const [height, width] = [segment.u16(false), segment.u16(false)];
    frame = { width, height, components: segment.u8() };
  }
  if (frame === null || scans === 0) return refuse(name, "the picture ends before its pixels begin");
  if (scans > MOST_SCANS) refuse(name, `the picture comes in ${scans} scans`);
  return frame;
}

function decode(bytes: Uint8Array, name: string): { width: number; height: number; data: Uint8Array } {
  try {
    return jpeg.decode(bytes, {
      useTArray: true,
      formatAsRGBA: false,
      tolerantDecoding: false,
      maxMemoryUsageInMB: MOST_MEGABYTES,
      maxResolutionInMP: 40,
    });
  } catch (error) {
    return refuse(name, `the picture is damaged (${error instanceof Error ? error.message.split("\n")[0] : "unknown"})`);
  }
}

/** Reads a JPEG picture as uint8 `[h, w, 1]` (grey) or `[h, w, 3]`. @throws KingletError `bad-input` for a damaged file. */
export function readJpeg(bytes: Uint8Array, name: string): Recording {
  const { width, height, components } = survey(bytes, name);
  const pixels = width * height;
  if (pixels === 0 || pixels > MOST_PIXELS || pixels > bytes.length * PIXELS_PER_BYTE)
    refuse(name, `${bytes.length} bytes cannot hold the declared ${width}×${height} pixels`);
  const picture = decode(bytes, name);
  const grey = components === 1;
  if (picture.width !== width || picture.height !== height || picture.data.length !== 3 * pixels)
    refuse(name, "the picture's size differs from its header");
  const data = grey ? picture.data.filter((_, i) => i % 3 === 0) : new Uint8Array(picture.data);
  return { data, dtype: "uint8", shape: [height, width, grey ? 1 : 3], fullScale: 255 };
}
