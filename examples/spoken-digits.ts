// Ten spoken digits of speakers whom the network never heard: a DS-CNN on MFCCs, for the recordings of the Free Spoken Digit Dataset
// (a folder or a zip). Each of the six speakers is the test part once; a figure is the mean of the six.
//     npx tsx examples/spoken-digits.ts /path/to/data [--seed N] [--epochs N]
import { type Dataset, leaveOneGroupOut } from "kinglet";
import { type Accuracy, measureTask, taskArguments, trainAndQuantize, withImported } from "./shared/accuracy.ts";
import { cepstraOf, FEATURES_END, soundNetwork, soundTraining } from "./shared/sound.ts";

const RATE = 8000;

async function everySpeaker(dataset: Dataset, seed: number, epochs: number): Promise<Accuracy[]> {
  const cepstra = await cepstraOf(dataset);
  const accuracies: Accuracy[] = [];
  for (const { train, test } of leaveOneGroupOut(dataset)) {
    const network = await soundNetwork(dataset, cepstra, train, seed);
    const split = { train, validation: new Int32Array(0), test };
    accuracies.push(await trainAndQuantize(network, dataset, split, soundTraining(RATE, epochs, seed), { floatUntil: FEATURES_END }));
  }
  return accuracies;
}

const { data, seeds, epochs } = taskArguments({ epochs: 14, places: ["audio/fsdd.zip", "fsdd.zip"] });
// Names are DIGIT_SPEAKER_NUMBER.wav.
const importing = { label: "part:1", group: "part:2", window: { length: RATE, hop: RATE, short: "pad" } } as const;
await withImported(data, importing, async (dataset) => {
  await measureTask("Spoken digits, each speaker tested once", seeds, async (seed) => await everySpeaker(dataset, seed, epochs));
});
