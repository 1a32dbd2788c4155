import { type Dataset, datasetFromArrays, openDataset, type SamplesInMemory } from "../../data/index.ts";

/** What a Node client learns from: a folder that `kinglet data import` made, or arrays. */
export type NodeSamples = { readonly folder: string } | SamplesInMemory;

export async function openSamples(samples: NodeSamples): Promise<Dataset> {
  return "folder" in samples ? await openDataset(samples.folder) : datasetFromArrays(samples);
}
