import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Dataset, importData, type ImportOptions, openDataset } from "../../kinglet/src/data/index.ts";

/** What a row gave. */
export interface Result {
  /** What was wanted, what came, and whether that is it. */
  readonly goal: string;
  readonly got: string;
  readonly met: boolean;
  /** All figures, for `--json`. */
  readonly figures: Readonly<Record<string, unknown>>;
}

/** A row of the bench. */
export interface Row {
  readonly name: string;
  /** @param data the folder that the person named. */
  readonly measure: (data: string) => Promise<Result>;
}

export const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

/** What comes while a row runs: a line that is drawn anew on a terminal, else one after the other. */
export function progress(text: string): void {
  process.stderr.write(process.stderr.isTTY ? `\r${text}   ` : `${text}\n`);
}

/** A data set of which `places` say where it may lie in the folder, imported into another one that is there as long as `use` runs. */
export async function withData<Result>(
  folder: string,
  places: readonly string[],
  options: ImportOptions,
  use: (dataset: Dataset, folder: string) => Promise<Result>,
): Promise<Result> {
  const place = places.map((each) => join(folder, each)).find((each) => existsSync(each)) ?? folder;
  const made = await mkdtemp(join(tmpdir(), "kinglet-federated-"));
  try {
    await importData([place], join(made, "data"), options);
    const dataset = await openDataset(join(made, "data"));
    try {
      return await use(dataset, join(made, "data"));
    } finally {
      await dataset.close();
    }
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}

/** MNIST's four idx files, packed or not. */
export async function withMnist<Result>(folder: string, use: (dataset: Dataset, folder: string) => Promise<Result>): Promise<Result> {
  return await withData(folder, ["image"], { only: "*images-idx3*" }, use);
}
