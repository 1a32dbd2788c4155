export { audioBackground, audioGain, audioNoise, audioShift, audioSnr, audioSpeed, audioTilt } from "./audio.ts";
export { type Augment, sometimes } from "./augment.ts";
export { mixup, smoothLabels } from "./batch.ts";
export { brightness, colour, contrast, flipHorizontal, flipVertical, randomCrop } from "./image.ts";
export { frequencyMask, type MaskOptions, timeMask } from "./masking.ts";
export { type Augmentation, AUGMENTATIONS, augmentsOf } from "./named.ts";
export { jitter, motionScale, rotate3d, timeWarp } from "./motion.ts";
