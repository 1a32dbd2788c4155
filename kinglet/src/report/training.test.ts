import { expect, test } from "vitest";
import { renderTraining } from "./training.ts";
import type { JudgedNetwork, NetworkStep, TrainingReport } from "./training-types.ts";

const footprint = {
  core: "cortex-m4",
  macs: 1000,
  arenaBytes: 900,
  weightBytes: 4000,
  sparse: [],
  codeBytes: 500,
  stackBytes: 100,
  instructions: 9000,
} as const;
const judged: JudgedNetwork = {
  name: "float32",
  file: "model.kinglet",
  fileBytes: 10,
  weightBytes: 4000,
  accuracy: 0.75,
  samples: 4,
  confusion: [
    [2, 0],
    [1, 1],
  ],
  classes: [
    { samples: 2, precision: 2 / 3, recall: 1, f1: 0.8 },
    { samples: 2, precision: 1, recall: 0.5, f1: null },
  ],
};
const step: NetworkStep = {
  step: "trained",
  file: "model.kinglet",
  judgedOn: "test part",
  samples: 4,
  accuracy: 0.75,
  footprint,
  epochs: [
    { epoch: 0, loss: 1, accuracy: 0.5, validation: null },
    { epoch: 1, loss: 0.5, accuracy: 0.75, validation: 0.5 },
  ],
  noise: [],
  zeros: [],
};
const small: NetworkStep = {
  ...step,
  step: "quantized",
  file: "model.int8.kinglet",
  epochs: [],
  footprint: { ...footprint, weightBytes: 1000, instructions: 3000 },
};

function page(changes: Partial<TrainingReport>): string {
  return renderTraining({
    title: "wand",
    version: "1.0.0",
    classes: ["yes", "no"],
    parameters: 50,
    judgedOn: "test part",
    board: "nano-33-ble",
    steps: [step],
    judged: [judged],
    mistakes: [],
    ...changes,
  });
}

/** The text of a page's section. */
function section(html: string, id: string): string {
  const found = new RegExp(`<section aria-labelledby="${id}">([\\s\\S]*?)</section>`).exec(html);
  return (found?.[1] ?? "").replace(/<[^>]*>/g, " ").replace(/\s+/g, " ");
}

test("steps stand under each other with their shares of the first", () => {
  const text = section(page({ steps: [step, small] }), "steps");
  expect(text).toMatch(/Trained model\.kinglet 75\.0 % 4\.39 KiB 1000 B 9 k 1 k/);
  expect(text).toMatch(/Quantized model\.int8\.kinglet 75\.0 % 1\.46 KiB 33 % 1000 B 3 k 33 % 1 k/);
});

test("what was not measured is said and not shown as a number", () => {
  const unknown = { ...step, footprint: { ...footprint, codeBytes: null, stackBytes: null, instructions: null } };
  const text = section(page({ steps: [unknown] }), "steps");
  expect(text).toMatch(/flash is tables alone, RAM the arena alone, and instructions are unknown/);
  expect(text).toMatch(/3\.91 KiB 900 B – 1 k/);
});

test("each training has its curves, and a quantization its errors by layer", () => {
  const noise = [
    { name: "first", op: "conv2d", domain: "int8", snrDb: 31.25, ownSnrDb: "exact" },
    { name: "last", op: "fullyConnected", domain: "int8", snrDb: 12, ownSnrDb: 18.5 },
  ] as const;
  const html = page({ steps: [step, { ...small, noise }] });
  expect(html.match(/by epoch"/g)).toHaveLength(2);
  expect(section(html, "noise")).toMatch(/conv2d first int8 31\.3 dB exact fullyConnected last int8 12\.0 dB 18\.5 dB loses most/);
  expect(section(page({}), "noise")).toBe("");
});

test("zeros tell what they bring on the board", () => {
  const layer = { name: "conv", op: "conv2d", tableBytes: 1000, packedBytes: 400, time: 0.05, stored: "packed" } as const;
  const told = (stored: "packed" | "slow" | "no room"): string =>
    section(page({ steps: [{ ...small, footprint: { ...footprint, sparse: [{ ...layer, stored }] } }] }), "zeros");
  expect(told("packed")).toMatch(/save 600 bytes of flash.*conv 1,000 400 at most \+5\.0 % without its zeros/);
  expect(told("slow")).toMatch(/zeros bring nothing.*conv 1,000 1,000 – as it is: unpacking would take too long/);
  const zeros = [{ weights: "conv_weights", zeros: 80, of: 100 }];
  expect(section(page({ steps: [{ ...step, zeros }] }), "zeros")).toMatch(/bring no byte and no instruction.*conv_weights 100 80 80\.0 %/);
});

test("mistakes are drawn: pictures, signals, and what sound looks like", () => {
  const sample = { label: "yes", answer: "no", source: "set/yes/a.wav" };
  const html = page({
    mistakes: [
      { ...sample, shape: [4, 1], data: Float32Array.of(0, 1, 0, -1), spectrogram: { data: new Float32Array(6), frames: 3, bands: 2 } },
      { ...sample, shape: [2, 2, 3], data: new Float32Array(12) },
    ],
  });
  expect(html.match(/data:image\/bmp/g)).toHaveLength(2);
  expect(html).toContain("its spectrogram");
  expect(section(html, "mistakes")).toMatch(/yes taken for no yes\/a\.wav/);
});

test("names from files can do nothing", () => {
  const evil = `"><script>alert(1)</script>`;
  const html = page({ title: evil, classes: [evil, evil], board: evil, steps: [{ ...step, file: evil, judgedOn: evil }] });
  expect(html).not.toContain("<script>");
});
