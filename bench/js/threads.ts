import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { TypedArray } from "../../kinglet/src/base/index.ts";
import { makeArtefact, worthThreads } from "../../kinglet/src/driver/index.ts";
import { interleave } from "./interleave.ts";
import type { JsSubject } from "./subjects.ts";

/** One inference on the wall with one thread and with two, in milliseconds. */
export interface ThreadsMeasured {
  readonly model: string;
  readonly oneP10Ms: number;
  readonly oneMedianMs: number;
  readonly twoP10Ms: number;
  readonly twoMedianMs: number;
  /** By the tenth percentiles. */
  readonly gain: number;
}

interface Model {
  run(input: TypedArray): readonly TypedArray[];
  close(): void;
}

/** Times a network that is large enough for threads with one and with two, in turns; null for smaller ones. */
export async function measureThreads({ model, graph, input }: JsSubject): Promise<ThreadsMeasured | null> {
  if (!worthThreads(graph)) return null;
  const folder = await mkdtemp(join(tmpdir(), "kinglet-threads-"));
  try {
    const { files } = await makeArtefact(graph, { target: "wasm", id: "network" });
    await writeFile(join(folder, "package.json"), '{ "type": "module" }');
    for (const [name, content] of files) await writeFile(join(folder, name), content);
    const { load } = (await import(pathToFileURL(join(folder, "network.js")).href)) as {
      load(source: undefined, options: { threads: number }): Promise<Model>;
    };
    const [one, two] = [await load(undefined, { threads: 1 }), await load(undefined, { threads: 2 })];
    const times = await interleave([
      { name: "one", run: () => one.run(input) },
      { name: "two", run: () => two.run(input) },
    ]);
    two.close();
    const [alone, shared] = [times.get("one")!, times.get("two")!];
    return {
      model,
      oneP10Ms: alone.wallP10Ms,
      oneMedianMs: alone.wallMedianMs,
      twoP10Ms: shared.wallP10Ms,
      twoMedianMs: shared.wallMedianMs,
      gain: alone.wallP10Ms / shared.wallP10Ms,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
