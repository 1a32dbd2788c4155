import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { needShared } from "../formats/test-files.ts";
import { importData, type ImportOptions, leaveOneGroupOut, openDataset } from "./index.ts";

interface Case {
  readonly paths: readonly string[];
  readonly test?: readonly string[];
  readonly options?: ImportOptions;
  readonly samples: number;
  readonly shape: readonly number[];
  readonly classes: number;
  readonly groups?: number;
  readonly held?: number;
}

const CASES: Readonly<Record<string, Case>> = {
  "spoken digits by speaker": {
    paths: ["audio/fsdd.zip"],
    options: { group: "part:2", window: { length: 8000, hop: 8000, short: "pad" } },
    samples: 2702,
    shape: [8000, 1],
    classes: 10,
    groups: 6,
  },
  keywords: {
    paths: ["audio/speech-commands-bed-cat-happy.zip"],
    options: { group: "prefix" },
    samples: 900,
    shape: [16000, 1],
    classes: 3,
    groups: 670,
  },
  MNIST: { paths: ["image/mnist-t10k-first5000-images-idx3-ubyte.gz"], samples: 5000, shape: [28, 28, 1], classes: 10, held: 5000 },
  "CIFAR-10": {
    paths: ["image/cifar10-train-first4000.bin.gz"],
    test: ["image/cifar10-test-lossless150.bin.gz"],
    samples: 4150,
    shape: [32, 32, 3],
    classes: 10,
    held: 150,
  },
  WISDM: {
    paths: ["motion/wisdm51-watch.npz"],
    options: { only: "*accel*", group: "prefix", window: { length: 200, hop: 100, short: "drop" } },
    samples: 10118,
    shape: [200, 3],
    classes: 18,
    groups: 16,
  },
  "magic wand": {
    paths: ["motion/tflm-magic-wand.csv.gz"],
    options: { group: "column:person", window: { length: 128, hop: 128, short: "pad" } },
    samples: 270,
    shape: [128, 3],
    classes: 4,
    groups: 7,
  },
  "magic wand, lines of dashes": { paths: ["motion/magic-wand-mbed.zip"], options: { label: "part:2" }, samples: 784, shape: [81, 3], classes: 3 },
  "magic wand spells": {
    paths: ["motion/magic-wand-spells.zip"],
    options: { window: { length: 100, hop: 50, short: "pad" } },
    samples: 230,
    shape: [100, 6],
    classes: 5,
  },
  gestures: { paths: ["motion/cgestures.zip"], options: { label: "part:2" }, samples: 16, shape: [400, 3], classes: 4 },
  "hand poses": { paths: ["motion/hand-keypoint.csv.gz"], options: { label: "column:1" }, samples: 3338, shape: [42, 1], classes: 3 },
};

for (const [name, wanted] of Object.entries(CASES)) {
  test(`${name} as published`, async (context) => {
    const [paths, held] = [wanted.paths, wanted.test ?? []].map((list) => list.map((path) => needShared(context, join("data", path))));
    const folder = await mkdtemp(join(tmpdir(), "kinglet-shared-"));
    try {
      const { info } = await importData(paths!, join(folder, "data"), { ...wanted.options, ...(held!.length > 0 ? { test: held! } : {}) });
      expect({ samples: info.samples, shape: info.shape, classes: info.classes.length }).toEqual({
        samples: wanted.samples,
        shape: wanted.shape,
        classes: wanted.classes,
      });
      expect(info.groups).toHaveLength(wanted.groups ?? 0);
      const dataset = await openDataset(join(folder, "data"));
      expect(dataset.index.parts.filter((part) => part === 1)).toHaveLength(wanted.held ?? 0);
      if (wanted.groups !== undefined) expect(leaveOneGroupOut(dataset)).toHaveLength(wanted.groups);
      await dataset.close();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}
