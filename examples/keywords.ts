// Three spoken words of speakers whom the network never heard: a DS-CNN on MFCCs, for words of the Speech Commands data set (a folder or a
// zip with a folder for each word). A fifth of the speakers is the test part.
//     npx tsx examples/keywords.ts /path/to/data [--seed N] [--epochs N]
import { splitDataset } from "kinglet";
import { measureTask, taskArguments, trainAndQuantize, withImported } from "./shared/accuracy.ts";
import { cepstraOf, FEATURES_END, soundNetwork, soundTraining } from "./shared/sound.ts";

const RATE = 16_000;

const { data, seeds, epochs } = taskArguments({
  epochs: 30,
  places: ["audio/speech-commands-bed-cat-happy.zip", "speech-commands-bed-cat-happy.zip"],
});
// Names are WORD/SPEAKER_nohash_NUMBER.wav.
const importing = { label: "folder", group: "prefix", window: { length: RATE, hop: RATE, short: "pad" } } as const;
await withImported(data, importing, async (dataset) => {
  const split = splitDataset(dataset, { by: "group", test: 0.2 });
  const cepstra = await cepstraOf(dataset);
  await measureTask("Keywords, speakers kept apart", seeds, async (seed) => {
    const network = await soundNetwork(dataset, cepstra, split.train, seed);
    return [await trainAndQuantize(network, dataset, split, soundTraining(RATE, epochs, seed), { floatUntil: FEATURES_END })];
  });
});
