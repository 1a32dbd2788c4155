import { KingletError } from "../../base/index.ts";
import { audioGain, audioNoise, audioShift } from "./audio.ts";
import type { Augment } from "./augment.ts";
import { brightness, colour, contrast, flipHorizontal, randomCrop } from "./image.ts";
import { jitter, motionScale, rotate3d, timeWarp } from "./motion.ts";

/** Changes of samples by name; the number says how strong each is. All work on samples as they were recorded, before features. */
export const AUGMENTATIONS = {
  /** Sound: at most so many steps earlier or later. */
  shift: (steps) => audioShift(Math.round(steps)),
  /** Sound: louder or softer by at most so many decibels. */
  gain: (most) => audioGain(-most, most),
  /** Sound: noise of at most this amplitude. */
  noise: audioNoise,
  /** Motion: noise of this standard deviation, in the data's own units. */
  jitter,
  /** Motion: stronger or weaker by at most this share. */
  scale: motionScale,
  /** Motion: turned by at most so many degrees. */
  rotate: rotate3d,
  /** Motion: faster or slower by at most this share. */
  timeWarp,
  /** Pictures: mirrored with this probability. */
  flip: flipHorizontal,
  /** Pictures: moved by at most so many pixels. */
  crop: (pixels) => randomCrop(Math.round(pixels)),
  brightness,
  contrast,
  colour,
} as const satisfies Readonly<Record<string, (amount: number) => Augment>>;

export type Augmentation = { readonly [name in keyof typeof AUGMENTATIONS]?: number };

/** The changes in the order in which they were written down. @throws KingletError `unsupported` for a name that is none of them. */
export function augmentsOf(augmentation: Readonly<Record<string, number>>): Augment[] {
  return Object.entries(augmentation).map(([name, amount]) => {
    if (!Object.hasOwn(AUGMENTATIONS, name))
      throw new KingletError("unsupported", `there is no augmentation "${name}"`, { hint: `There are ${Object.keys(AUGMENTATIONS).join(", ")}.` });
    return AUGMENTATIONS[name as keyof typeof AUGMENTATIONS](amount);
  });
}
