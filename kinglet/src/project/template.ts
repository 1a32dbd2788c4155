/** What a project may begin from. */
export const KINDS = ["motion", "sound", "image"] as const;
export type ProjectKind = (typeof KINDS)[number];

interface Beginning {
  readonly network: string;
  readonly features: string;
  readonly epochs: number;
  readonly batch: number;
  readonly rate: number;
  readonly augmentation: string;
  readonly importing: string;
}

const BEGINNINGS: Readonly<Record<ProjectKind, Beginning>> = {
  motion: {
    network: `{ name: "cnn_1d", options: { width: 1 } }`,
    features: `{ kind: "none" }`,
    // Few recordings are many epochs of few steps.
    epochs: 60,
    batch: 16,
    rate: 0.005,
    augmentation: "{ scale: 0.2, timeWarp: 0.2 }",
    importing: "kinglet data import recordings/ --window 128 --hop 64",
  },
  sound: {
    network: `{ name: "ds_cnn", options: { width: 1 } }`,
    features: `{ kind: "mfcc", frameMs: 30, stepMs: 20, bands: 40, coefficients: 10 }`,
    epochs: 30,
    batch: 32,
    rate: 0.005,
    augmentation: "{ shift: 1600, gain: 6, noise: 0.005 }",
    importing: "kinglet data import recordings/ --window 16000",
  },
  image: {
    network: `{ name: "ds_cnn_digits", options: { width: 1 } }`,
    features: `{ kind: "none" }`,
    epochs: 20,
    batch: 32,
    rate: 0.008,
    augmentation: "{ crop: 2 }",
    importing: "kinglet data import pictures/ --size 32x32",
  },
};

function configText({ network, features, epochs, batch, rate, augmentation }: Beginning): string {
  return `// What training does with the data in .kinglet/data. The same file and data give the same weights, bit for bit.
export default {
  // A network by its name: mlp, cnn_1d, gru, lstm, ds_cnn, ds_cnn_digits, resnet8, mobilenet_v1 …; width makes it thinner or wider.
  network: ${network},
  // Random weights at first, or those of a file that fit it: .safetensors, .h5, .keras, .mlpackage.
  weights: null,

  // What the network sees, computed by the firmware, too: none (the samples), mfcc (sound), motion (statistics).
  features: ${features},

  epochs: ${epochs},
  batch: ${batch},
  // sgd, adam or rmsprop.
  optimizer: { kind: "adam", weightDecay: 0.0001, decoupled: true },
  // How the learning rate moves: constant, step, cosine or oneCycle.
  schedule: { kind: "oneCycle", rate: ${rate} },

  // Changes of training samples. Sound: shift, gain, noise. Motion: jitter, scale, rotate, timeWarp. Pictures: flip, crop,
  // brightness, contrast, colour.
  augmentation: ${augmentation},

  // More, each off where it is left out: labelSmoothing: 0.1, mixup: 0.2, averageDecay: 0.99 (a moving average of the weights), dropout: 0.2,
  // clipNorm: 1, classWeights: "balanced" or { rare: 3 }, freeze: ["conv*"] (layers that stay, for kinglet train --start),
  // distill: { temperature: 4, alpha: 0.9, hint: { student: "a layer", teacher: "a layer" } } (for kinglet distill).

  // Shares that are kept for judging. by: "group" keeps all samples of a speaker or person in one part.
  split: { by: "class", test: 0.2, validation: 0.1 },

  // Of weights, order, split and augmentation.
  seed: 1,

  // Where it shall run: kinglet compile takes it.
  board: "nano-33-ble",
};
`;
}

function readmeText(name: string, { importing }: Beginning): string {
  return `# ${name}

    ${importing}   # once; kinglet data import --help tells about labels
    kinglet data show
    kinglet train             # model.kinglet, training.json, report.html; --resume goes on after a stop
    kinglet quantize          # model.int8.kinglet
    kinglet evaluate          # both, side by side
    kinglet compile           # firmware/ for the board in kinglet.config.ts

All choices are in \`kinglet.config.ts\`.
`;
}

const IGNORED = ".kinglet/\nfirmware/\nreport.html\nfederation.html\n";

/** The files of a new project by their names. */
export function projectFiles(name: string, kind: ProjectKind): ReadonlyMap<string, string> {
  const beginning = BEGINNINGS[kind];
  return new Map([
    ["kinglet.config.ts", configText(beginning)],
    [".gitignore", IGNORED],
    ["README.md", readmeText(name, beginning)],
  ]);
}
