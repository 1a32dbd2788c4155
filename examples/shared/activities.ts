// WISDM's 2019 data set of activities by smartwatch (arrays USER_accel_xyz and USER_accel_act), and a network for it.
import { applyOp, cnn1d, type Dataset, type Graph, GraphBuilder, type ImportOptions, joinGraphs, measureNormalization, normalise } from "kinglet";

/** Ten seconds at 20 Hz; windows overlap by half. */
const LENGTH = 200;

export const ACTIVITIES_PLACES: readonly string[] = ["motion/wisdm51-watch.npz", "wisdm51-watch.npz"];
export const ACTIVITIES_IMPORT: ImportOptions = { only: "*accel*", group: "prefix", window: { length: LENGTH, hop: LENGTH / 2, short: "drop" } };

/** Acceleration, normalized as the training part asks for, to activities. */
export async function activitiesNetwork(dataset: Dataset, train: Int32Array, seed: number): Promise<Graph> {
  const [length, inputChannels] = dataset.info.shape as [number, number];
  const b = new GraphBuilder("normalized");
  const motion = b.input("motion", { dtype: "float32", shape: [1, length, inputChannels] });
  const normalized = normalise(b, motion, await measureNormalization(dataset, train));
  b.output(applyOp(b, "reshape", [normalized], { shape: [1, length, 1, inputChannels] }, "arranged")[0]!);
  return joinGraphs("activities", b.build(), cnn1d({ length, inputChannels, classes: dataset.info.classes.length, seed }));
}
