import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { importData } from "./index.ts";
import { idxFile } from "./readers/testing.ts";

const SAMPLES = 100_000;
const SIDE = 28;
/** The samples are 78 MB; the process may hold far less. */
const MOST_HEAP_MB = 40;
const MOST_GROWTH_MB = 40;

const PROGRAM = `
import { batches, measureNormalization, openDataset } from ${JSON.stringify(fileURLToPath(new URL("./index.ts", import.meta.url)))};
async function main() {
  const dataset = await openDataset(process.argv[2], { cacheBytes: 0 });
  const positions = Int32Array.from({ length: dataset.length }, (_, i) => i);
  const start = process.memoryUsage();
  const seen = new Uint8Array(dataset.length);
  let growth = 0, sum = 0;
  const normalization = await measureNormalization(dataset, positions);
  for await (const batch of batches(dataset, positions, { batchSize: 256, normalization })) {
    for (let i = 0; i < batch.count; i++) seen[batch.positions[i]]++;
    for (const value of batch.data) sum += value;
    const now = process.memoryUsage();
    growth = Math.max(growth, now.heapUsed + now.arrayBuffers - start.heapUsed - start.arrayBuffers);
  }
  console.log(JSON.stringify({ growth: growth / 2 ** 20, once: seen.every((count) => count === 1), sum }));
}
main();
`;

test("100,000 samples stream from disk in bounded memory", async () => {
  const folder = await mkdtemp(join(tmpdir(), "kinglet-stream-"));
  try {
    const idx = Buffer.alloc(16 + SAMPLES * SIDE * SIDE);
    idx.set(idxFile([SAMPLES, SIDE, SIDE], []));
    for (let i = 16; i < idx.length; i += 97) idx[i] = i & 255;
    const labels = Buffer.alloc(8 + SAMPLES);
    labels.set(idxFile([SAMPLES], []));
    await writeFile(join(folder, "a-images-idx3-ubyte"), idx);
    await writeFile(join(folder, "a-labels-idx1-ubyte"), labels);
    const { info } = await importData([join(folder, "a-images-idx3-ubyte")], join(folder, "data"));
    expect(info.samples).toBe(SAMPLES);
    const program = join(folder, "program.mts");
    await writeFile(program, PROGRAM);
    const ran = spawnSync(
      process.execPath,
      [`--max-old-space-size=${MOST_HEAP_MB}`, "--import", import.meta.resolve("tsx"), program, join(folder, "data")],
      { encoding: "utf8" },
    );
    expect(ran.stderr).toBe("");
    const told = JSON.parse(ran.stdout) as { growth: number; once: boolean; sum: number };
    expect(told.once).toBe(true);
    expect(Math.abs(told.sum)).toBeLessThan(1000);
    expect(told.growth).toBeLessThan(MOST_GROWTH_MB);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
