import type { Dataset } from "./dataset.ts";
import type { ChannelRange } from "./manifest.ts";

export interface ClassSummary {
  readonly name: string;
  readonly samples: number;
  readonly recordings: number;
  /** Of the samples, those in the test part. */
  readonly test: number;
}

export interface DuplicateSummary {
  /** Samples whose bytes equal those of an earlier one. */
  readonly samples: number;
  /** Of these, those whose label differs from the earlier one's. */
  readonly contradicting: number;
  /** Of these, those that lie in another part (training and test) than the earlier one. */
  readonly acrossParts: number;
  /** Some pairs: position of the earlier one and of the copy, and their files. */
  readonly examples: readonly { readonly first: number; readonly copy: number; readonly firstSource: string; readonly copySource: string }[];
}

/** What a person wants to know of a data set before training on it. */
export interface DatasetSummary {
  readonly samples: number;
  readonly recordings: number;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly rateHz: number | null;
  /** Length of one sample, where the rate is known. */
  readonly seconds: number | null;
  readonly padded: number;
  readonly classes: readonly ClassSummary[];
  /** Samples of the largest class for each one of the smallest. */
  readonly imbalance: number | null;
  readonly groups: number;
  readonly testSamples: number;
  readonly duplicates: DuplicateSummary;
  readonly channels: readonly string[] | null;
  readonly ranges: readonly ChannelRange[] | null;
  readonly sources: number;
  readonly skipped: number;
}

const MOST_EXAMPLES = 5;
const TEST = 1;

function summarizeClasses({ info, index }: Dataset): ClassSummary[] {
  const [samples, test] = [new Int32Array(info.classes.length), new Int32Array(info.classes.length)];
  const recordings = info.classes.map(() => new Set<number>());
  index.labels.forEach((label, i) => {
    samples[label] = samples[label]! + 1;
    if (index.parts[i] === TEST) test[label] = test[label]! + 1;
    recordings[label]!.add(index.recordings[i]!);
  });
  return info.classes.map((name, c) => ({ name, samples: samples[c]!, recordings: recordings[c]!.size, test: test[c]! }));
}

function findDuplicates({ info, index, length }: Dataset): DuplicateSummary {
  const first = new Map<number, number>();
  let [samples, contradicting, acrossParts] = [0, 0, 0];
  const examples: { first: number; copy: number; firstSource: string; copySource: string }[] = [];
  const sourceOf = (i: number): string => info.sources[index.sources[i]!]!.name;
  for (let i = 0; i < length; i++) {
    const earlier = first.get(index.hashes[i]!);
    if (earlier === undefined) {
      first.set(index.hashes[i]!, i);
      continue;
    }
    samples++;
    if (index.labels[i] !== index.labels[earlier]) contradicting++;
    if ((index.parts[i] === TEST) !== (index.parts[earlier] === TEST)) acrossParts++;
    if (examples.length < MOST_EXAMPLES) examples.push({ first: earlier, copy: i, firstSource: sourceOf(earlier), copySource: sourceOf(i) });
  }
  return { samples, contradicting, acrossParts, examples };
}

/** Summarizes a data set from its index and manifest alone: no sample is read. */
export function summarizeDataset(dataset: Dataset): DatasetSummary {
  const { info, index } = dataset;
  const classes = summarizeClasses(dataset);
  const counts = classes.map((each) => each.samples);
  const smallest = Math.min(...counts);
  return {
    samples: info.samples,
    recordings: info.recordings,
    shape: info.shape,
    dtype: info.dtype,
    rateHz: info.rateHz,
    seconds: info.rateHz === null || info.shape.length !== 2 ? null : info.shape[0]! / info.rateHz,
    padded: info.padded,
    classes,
    imbalance: smallest > 0 ? Math.max(...counts) / smallest : null,
    groups: info.groups.length,
    testSamples: index.parts.reduce((sum, part) => sum + (part === TEST ? 1 : 0), 0),
    duplicates: findDuplicates(dataset),
    channels: info.channels,
    ranges: info.ranges,
    sources: info.sources.length,
    skipped: info.skipped.length,
  };
}
