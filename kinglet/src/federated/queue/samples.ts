import { createHash } from "node:crypto";
import { bytesOf } from "../../base/index.ts";
import type { Dataset } from "../../data/index.ts";

/** Which samples a run is on, and those of a worker. */
export interface SamplesId {
  /** For people. */
  readonly name: string;
  /** SHA-256 of all that training may see, in hexadecimal digits. */
  readonly digest: string;
  readonly samples: number;
}

const AT_ONCE = 1024;

/** The same for the same samples with the same labels in the same order, wherever they lie. */
export async function samplesId(dataset: Dataset, name: string): Promise<SamplesId> {
  const { shape, dtype, fullScale, classes, samples } = dataset.info;
  const { labels, groups } = dataset.index;
  const hash = createHash("sha256").update(JSON.stringify({ shape, dtype, fullScale, classes, samples }));
  hash.update(bytesOf(labels)).update(bytesOf(groups));
  for (let first = 0; first < samples; first += AT_ONCE) {
    const length = Math.min(AT_ONCE, samples - first);
    hash.update(bytesOf(await dataset.read(Int32Array.from({ length }, (_, i) => first + i))));
  }
  return { name, digest: hash.digest("hex"), samples };
}
