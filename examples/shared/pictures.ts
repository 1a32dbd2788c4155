import type { ImportOptions } from "kinglet";

/** A public data set: where it lies in a folder of several, and what is imported of it. */
interface PictureSet {
  readonly places: readonly string[];
  readonly importing: ImportOptions;
}

/** The four idx files, packed or not: 60,000 digits to learn, and a test part by its name. */
export const MNIST: PictureSet = { places: ["image"], importing: { only: "*images-idx3*" } };

/** The .bin files of CIFAR-10's training part. */
export const CIFAR: PictureSet = { places: ["image"], importing: { only: "*cifar*train*" } };
