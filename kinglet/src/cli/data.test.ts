import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pngFile, sound, utf8 } from "../data/readers/testing.ts";
import { kinglet } from "./testing.ts";

let folder = "";
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kinglet-data-cli-"));
  await mkdir(at("words/yes"), { recursive: true });
  await mkdir(at("words/no"));
  const wave = (length: number, step: number): Uint8Array => sound(Array.from({ length }, (_, i) => ((i * step) % 2000) - 1000));
  await writeFile(at("words/yes/ann_1.wav"), wave(800, 7));
  await writeFile(at("words/yes/bob_1.wav"), wave(900, 9));
  await writeFile(at("words/no/ann_1.wav"), wave(500, 11));
  await writeFile(at("words/no/ann_2.wav"), wave(500, 11));
  await writeFile(
    at("faces_1.png"),
    pngFile({ width: 4, height: 4, rows: [0, 0, 255, 0, 255, 0, 255, 0, 255, 0, 0, 0, 255, 0, 255, 0, 255, 0, 255, 0] }),
  );
  await writeFile(at("bad.csv"), utf8("x,y\n1,NaN\n"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("data", () => {
  test("import and show tell the same facts", async () => {
    const made = await kinglet("data", "import", at("words"), "--out", at("set"), "--group", "prefix", "--json");
    expect(made.code).toBe(0);
    expect(JSON.parse(made.out)).toMatchObject({
      samples: 4,
      unchanged: false,
      shape: [900, 1],
      classes: [
        { name: "no", samples: 2 },
        { name: "yes", samples: 2 },
      ],
      groups: 2,
    });
    const shown = await kinglet("data", "show", at("set"), "--json");
    expect(JSON.parse(shown.out)).toMatchObject({ samples: 4, padded: 3, duplicates: { samples: 1 }, rateHz: 8000, imbalance: 1 });
    expect(JSON.parse((await kinglet("data", "import", at("words"), "--out", at("set"), "--group", "prefix", "--json")).out)).toMatchObject({
      unchanged: true,
    });
  });

  test("show draws signals and pictures within 80 columns", async () => {
    const { out, code } = await kinglet("data", "show", at("set"));
    expect(code).toBe(0);
    expect(out).toMatch(/duplicates +1\n +words\/no\/ann_2\.wav = words\/no\/ann_1\.wav/);
    expect(out).toMatch(/yes {2}\(sample 2, words\/yes\/ann_1\.wav\)\n +[▁▂▃▄▅▆▇█]{60}/);
    expect(
      Math.max(
        ...out
          .split("\n")
          .filter((line) => !line.startsWith("/"))
          .map((line) => line.length),
      ),
    ).toBeLessThanOrEqual(80);
    await kinglet("data", "import", at("faces_1.png"), "--out", at("faces"));
    const faces = await kinglet("data", "show", at("faces"));
    expect(faces.out).toMatch(/ {2}▄▀▄▀\n {2}▄▀▄▀/);
    expect(faces.out).not.toContain("\u001b");
  });

  test.each([
    [1, /bad\.csv, line 2, column y: "NaN" is not a finite number/, ["import", "bad.csv"]],
    [1, /there is no such file/, ["import", "absent.wav"]],
    [1, /there is no data set here/, ["show", "words"]],
    [2, /"shoe" is no way to find a name/, ["import", "words", "--label", "shoe"]],
    [2, /there is no --window/, ["import", "words", "--hop", "5"]],
    [2, /height and width/, ["import", "words", "--size", "big"]],
  ])("ends with %i: %s", async (code, pattern, [command, path, ...rest]) => {
    const out = command === "import" ? ["--out", at("refused")] : [];
    const ran = await kinglet("data", command!, at(path!), ...rest, ...out);
    expect(ran.err).toMatch(pattern);
    expect(ran.err.match(/^kinglet: /gm)).toHaveLength(1);
    expect(ran.err).not.toMatch(/\n\s+at |inside Kinglet/);
    expect([ran.code, ran.out]).toEqual([code, ""]);
    expect(await readdir(folder)).not.toContain("refused");
  });
});

test("units of acceleration that differ are told by file, and converted when asked to", async () => {
  await mkdir(at("wand"));
  const table = (label: string, gravity: number): string =>
    `label,x,y,z\n${Array.from({ length: 40 }, (_, t) => `${label},${gravity * Math.sin(t / 9)},0,${gravity}`).join("\n")}\n`;
  await writeFile(at("wand/still.csv"), table("still", 1000));
  await writeFile(at("wand/wave.csv"), table("wave", 1));
  const importing = ["data", "import", at("wand"), "--window", "20", "--label", "column:label", "--out", at("moved")];
  const plain = await kinglet(...importing);
  expect(plain.code).toBe(0);
  expect(plain.err).toMatch(
    /warning: .*several units[\s\S]*mg +1 recording of wand\/still\.csv[\s\S]*g +1 recording of wand\/wave\.csv[\s\S]*--unit g/,
  );
  const converted = await kinglet(...importing, "--unit", "g");
  expect([converted.code, converted.err]).toEqual([0, ""]);
  expect(converted.out).toMatch(/converted to g:\s+mg +1 recording of wand\/still\.csv/);
  expect(await readFile(join(at("moved"), "dataset.json"), "utf8")).toMatch(/"max": 1,/);
});
