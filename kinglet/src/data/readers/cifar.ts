import type { Recording } from "./recording.ts";
import { refuse } from "./refuse.ts";

const SIDE = 32;
const PLANE = SIDE * SIDE;
const PICTURE = 3 * PLANE;
const CLASSES_10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
const CLASSES_100 = 100;

/** Planes of red, green and blue to one pixel after the other. */
function interleave(planes: Uint8Array): Uint8Array {
  const out = new Uint8Array(PICTURE);
  for (let i = 0; i < PLANE; i++) for (let c = 0; c < 3; c++) out[3 * i + c] = planes[c * PLANE + i]!;
  return out;
}

/**
 * The pictures of a CIFAR .bin file: records of one label byte (two for CIFAR-100, coarse and fine) and 3072 bytes, as
 * `[32, 32, 3]`. CIFAR-10's classes have their names, CIFAR-100's their numbers.
 * @throws KingletError `bad-input` where the file is not made of such records.
 */
export function* readCifar(bytes: Uint8Array, name: string): Iterable<Recording> {
  const labelBytes = bytes.length % (PICTURE + 1) === 0 ? 1 : 2;
  const record = PICTURE + labelBytes;
  if (bytes.length === 0 || bytes.length % record !== 0) refuse(name, `${bytes.length} bytes are no whole number of CIFAR records (3073 bytes each)`);
  for (let at = 0; at < bytes.length; at += record) {
    const label = bytes[at + labelBytes - 1]!;
    if (label >= (labelBytes === 1 ? CLASSES_10.length : CLASSES_100)) refuse(name, `record ${at / record} has the label ${label}`);
    const data = interleave(bytes.subarray(at + labelBytes, at + record));
    yield { data, dtype: "uint8", shape: [SIDE, SIDE, 3], label: labelBytes === 1 ? CLASSES_10[label]! : String(label), fullScale: 255 };
  }
}
