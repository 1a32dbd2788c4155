import { readCbor } from "./cbor.ts";
import { type Recording, requireFinite } from "./recording.ts";
import { refuse } from "./refuse.ts";

/** The unit by which Edge Impulse marks sound, whose values are 16-bit steps. */
const SOUND_UNIT = "wav";
const INT16_SCALE = 32768;

type Plain = { readonly [key: string]: unknown };

const isObject = (value: unknown): value is Plain => typeof value === "object" && value !== null && !Array.isArray(value);
const text = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);

function parseJson(bytes: Uint8Array, name: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as unknown;
  } catch {
    return refuse(name, "the file is not JSON");
  }
}

function fill(out: Float32Array, rows: readonly unknown[], channels: number, name: string): void {
  rows.forEach((row, i) => {
    const values: unknown[] = Array.isArray(row) ? row : [row];
    if (values.length !== channels) refuse(`${name}, values[${i}]`, `the row has ${values.length} numbers and there are ${channels} sensors`);
    values.forEach((value, c) => {
      if (typeof value !== "number") refuse(`${name}, values[${i}]`, `sensor ${c} is not a number`);
      out[i * channels + c] = value as number;
    });
  });
}

/** The label is not part of the format, but some programs write one; the file's name is the usual place. */
function labelIn(document: Plain, payload: Plain): { label?: string } {
  const label = text(payload["label"]) ?? text(document["label"]);
  return label === undefined ? {} : { label };
}

function recordingOf(document: unknown, name: string): Recording {
  const payload = isObject(document) ? document["payload"] : undefined;
  if (!isObject(document) || !isObject(payload)) return refuse(name, 'this is not Edge Impulse\'s data acquisition format: there is no "payload"');
  const { sensors, values, interval_ms: interval } = payload;
  if (!Array.isArray(sensors) || sensors.length === 0 || !sensors.every(isObject)) return refuse(name, "the payload names no sensors");
  if (!Array.isArray(values) || values.length === 0) return refuse(name, "the payload holds no values");
  const data = new Float32Array(values.length * sensors.length);
  fill(data, values, sensors.length, name);
  requireFinite(data, name);
  const sound =
    sensors.length === 1 && sensors[0]!["units"] === SOUND_UNIT && data.every((value) => Number.isInteger(value) && Math.abs(value) <= INT16_SCALE);
  return {
    ...(sound ? { data: Int16Array.from(data), dtype: "int16", fullScale: INT16_SCALE } : { data, dtype: "float32", fullScale: 1 }),
    shape: [values.length, sensors.length],
    channels: sensors.map((sensor, i) => text(sensor["name"]) ?? String(i + 1)),
    ...(typeof interval === "number" && interval > 0 && Number.isFinite(interval) ? { rateHz: 1000 / interval } : {}),
    ...labelIn(document, payload),
  };
}

/** Reads Edge Impulse's data acquisition format as JSON: `[length, sensors]`. @throws KingletError `bad-input`. */
export function readEdgeImpulseJson(bytes: Uint8Array, name: string): Recording {
  return recordingOf(parseJson(bytes, name), name);
}

/** The same as CBOR. */
export function readEdgeImpulseCbor(bytes: Uint8Array, name: string): Recording {
  return recordingOf(readCbor(bytes, name), name);
}
