import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zipSync } from "fflate";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { datasetFromArrays, importData, openDataset, summarizeDataset } from "./index.ts";
import { idxFile, pngFile, sound, utf8 } from "./readers/testing.ts";

let folder = "";
const at = (name: string): string => join(folder, name);
const tone = (length: number, first = 1): Uint8Array => sound(Array.from({ length }, (_, i) => first + i));

async function put(name: string, bytes: Uint8Array): Promise<void> {
  await mkdir(join(at(name), ".."), { recursive: true });
  await writeFile(at(name), bytes);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kinglet-data-"));
  await put("words/yes/ann_1.wav", tone(10));
  await put("words/yes/bob_1.wav", tone(7, 100));
  await put("words/no/ann_2.wav", tone(10, 50));
  await put("words/no/copy_2.wav", tone(10, 50));
  await put("words/README.md", utf8("about"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("import", () => {
  test("a folder of folders: labels, groups, padding, counts", async () => {
    const { info, ignored } = await importData([at("words")], at("out"), { group: "prefix" });
    expect(info).toMatchObject({
      classes: ["no", "yes"],
      groups: ["ann", "bob", "copy"],
      shape: [10, 1],
      dtype: "int16",
      samples: 4,
      padded: 1,
      rateHz: 8000,
    });
    expect(ignored).toBe(1);
    const dataset = await openDataset(at("out"));
    expect([...dataset.index.labels]).toEqual([0, 0, 1, 1]);
    expect([...(await dataset.read([3]))]).toEqual([100, 101, 102, 103, 104, 105, 106, 0, 0, 0]);
    expect(summarizeDataset(dataset).duplicates).toMatchObject({ samples: 1, contradicting: 0, examples: [{ copySource: "words/no/copy_2.wav" }] });
    await dataset.close();
    expect((await readdir(folder)).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test("the same again changes nothing; a zip of the same files gives the same samples", async () => {
    const before = (await stat(at("out/dataset.json"))).mtimeMs;
    expect((await importData([at("words")], at("out"), { group: "prefix" })).unchanged).toBe(true);
    expect((await stat(at("out/dataset.json"))).mtimeMs).toBe(before);
    const members = ["yes/ann_1.wav", "yes/bob_1.wav", "no/ann_2.wav", "no/copy_2.wav"];
    await put(
      "words.zip",
      zipSync(Object.fromEntries(await Promise.all(members.map(async (name) => [name, new Uint8Array(await readFile(at(`words/${name}`)))])))),
    );
    const zipped = await importData([at("words.zip")], at("zipped"), { group: "prefix" });
    expect(await readFile(at("zipped/dataset.json"), "utf8")).toBe(await readFile(at("out/dataset.json"), "utf8"));
    expect(zipped.info.samples).toBe(4);
  });

  test("windows", async () => {
    const { info } = await importData([at("words")], at("windows"), { window: { length: 4, hop: 3, short: "pad" } });
    expect(info).toMatchObject({ samples: 3 + 2 + 3 + 3, recordings: 4, padded: 0 });
    const dataset = await openDataset(at("windows"));
    expect([...dataset.index.starts].slice(0, 3)).toEqual([0, 3, 6]);
    expect([...(await dataset.read([1]))]).toEqual([53, 54, 55, 56]);
    await dataset.close();
  });

  test("unreadable files are all named, and left out only when asked", async () => {
    await put("mixed/yes/a.wav", tone(5));
    await put("mixed/no/b.wav", tone(5).subarray(0, 46));
    await put("mixed/no/c.wav", utf8("nothing"));
    await expect(importData([at("mixed")], at("none"))).rejects.toThrow(/2 of 3 files cannot be read[\s\S]*b\.wav[\s\S]*c\.wav/);
    expect(await readdir(folder)).not.toContain("none");
    const { info } = await importData([at("mixed")], at("some"), { skipUnreadable: true });
    expect(info).toMatchObject({ samples: 1, skipped: [{ place: "mixed/no/b.wav" }, { place: "mixed/no/c.wav" }] });
  });

  test("files that do not go together are named", async () => {
    await put("rates/a_1.wav", sound([1, 2], 8000));
    await put("rates/b_1.wav", sound([1, 2], 16000));
    await expect(importData([at("rates")], at("none"))).rejects.toThrow(
      /sampling rates differ: rates\/a_1\.wav has 8000 Hz, rates\/b_1\.wav has 16000 Hz/,
    );
  });

  test("pictures are resized, and grey ones become coloured where they meet colour", async () => {
    await put("pictures/a/1.png", pngFile({ width: 2, height: 2, rows: [0, 0, 40, 0, 80, 120] }));
    await put("pictures/b/1.png", pngFile({ width: 1, height: 1, colour: 2, rows: [0, 1, 2, 3] }));
    await expect(importData([at("pictures")], at("none"))).rejects.toThrow(/sizes differ/);
    const { info } = await importData([at("pictures")], at("pics"), { size: { height: 1, width: 1 } });
    expect(info).toMatchObject({ shape: [1, 1, 3], dtype: "uint8", fullScale: 255 });
    const dataset = await openDataset(at("pics"));
    expect([...(await dataset.read([0, 1]))]).toEqual([60, 60, 60, 1, 2, 3]);
    await dataset.close();
  });

  test("idx files find their labels and their part", async () => {
    for (const [name, labels] of [
      ["train", [1, 0]],
      ["t10k", [1, 1]],
    ] as const) {
      await put(`idx/${name}-images-idx3-ubyte`, idxFile([2, 1, 1], [5, 6]));
      await put(`idx/${name}-labels-idx1-ubyte`, idxFile([2], labels));
    }
    const dataset = await importData([at("idx")], at("idx-out"), { classes: ["zero", "one"] }).then(() => openDataset(at("idx-out")));
    expect([...dataset.index.parts]).toEqual([1, 1, 0, 0]);
    expect(dataset.info.classes).toEqual(["zero", "one"]);
    await dataset.close();
  });

  test("a file of the folder that is named for the test is not learned from", async () => {
    const { info } = await importData([at("words")], at("held-out"), { test: [at("words/yes")] });
    expect(info.samples).toBe(4);
    const dataset = await openDataset(at("held-out"));
    const yes = dataset.info.classes.indexOf("yes");
    expect([...dataset.index.parts].map((part) => part === 1)).toEqual([...dataset.index.labels].map((label) => label === yes));
    await dataset.close();
  });

  test("nothing of a person's is replaced, and what a killed import left is removed", async () => {
    await put("mine/thesis.txt", utf8("precious"));
    await expect(importData([at("words")], at("mine"))).rejects.toThrow(/"thesis\.txt", which is no part of a data set/);
    await mkdir(at(".out.kinglet-4194999-x"));
    await importData([at("words")], at("out"), { group: "prefix" });
    expect((await readdir(folder)).filter((name) => name.startsWith("."))).toEqual([]);
  });
});

describe("a damaged data set is refused by name", () => {
  test.each([
    ["dataset.json", "{", /manifest is damaged/],
    ["dataset.json", '{"format":"other"}', /not the manifest/],
    ["dataset.json", '{"format":"kinglet-data","version":9}', /version 9/],
    ["dataset.json", '{"format":"kinglet-data","version":1}', /"shape" is missing or wrong/],
  ])("%s %s", async (name, text, pattern) => {
    await importData([at("words")], at("broken"));
    await writeFile(at(`broken/${name}`), text);
    await expect(openDataset(at("broken"))).rejects.toThrow(pattern);
  });

  test("short files and wild indices", async () => {
    await importData([at("words")], at("broken"));
    await truncate(at("broken/data-00000.bin"), 3);
    await expect(openDataset(at("broken"))).rejects.toThrow(/has 3 bytes and the manifest says 80/);
    await importData([at("words")], at("broken"));
    await writeFile(at("broken/index.bin"), new Uint8Array((await stat(at("broken/index.bin"))).size).fill(77));
    await expect(openDataset(at("broken"))).rejects.toThrow(/entry 0 .* damaged/);
    await expect(openDataset(at("nowhere"))).rejects.toThrow(/no data set here/);
  });
});

test("samples in memory", async () => {
  const given = { data: Float32Array.of(1, 2, 3, 4), shape: [1, 2], labels: [0, 1], classes: ["a", "b"] };
  expect([...(await datasetFromArrays(given).read([1]))]).toEqual([3, 4]);
  expect(() => datasetFromArrays({ ...given, labels: [0] })).toThrow(/not 1 samples/);
  await expect(datasetFromArrays(given).read([2])).rejects.toThrow(/there is no sample 2/);
});
