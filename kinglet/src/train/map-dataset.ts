import { bytesOf, elementCount, fromBytes, KingletError } from "../base/index.ts";
import { type Dataset, withSamples } from "../data/browser.ts";
import { compileGraph } from "../driver/browser.ts";
import type { Graph } from "../graph/index.ts";
import { createWasmRunner } from "../targets/wasm/index.ts";

/**
 * Runs every sample, in units of the full scale, through a graph of one float32 input and output, features as a rule: a data set in
 * memory whose samples are the outputs, with the labels, groups and parts of the given one. What is trained on them follows without
 * computing them again; `joinGraphs` puts the graph before the network afterwards.
 * @param graph for one sample: its first dimension is 1
 * @throws KingletError `bad-input` where samples do not fit the graph.
 */
export async function mapDataset(dataset: Dataset, graph: Graph): Promise<Dataset> {
  const [input, output] = [graph.inputs[0]!, graph.outputs[0]!];
  const size = elementCount(dataset.info.shape);
  if (elementCount(input.shape) !== size || input.dtype !== "float32" || output.dtype !== "float32" || output.shape[0] !== 1)
    throw new KingletError(
      "bad-input",
      `samples of [${dataset.info.shape.join(",")}] do not fit a graph of ${input.dtype}[${input.shape.join(",")}]`,
    );
  const { program, plan } = compileGraph(graph, { target: "wasm", overlap: false });
  const runner = createWasmRunner(program, plan);
  const row = elementCount(output.shape);
  const data = new Float32Array(dataset.length * row);
  for (let position = 0; position < dataset.length; position++) {
    const sample = Float32Array.from(await dataset.read([position]), (value) => value / dataset.info.fullScale);
    runner.setInput(0, bytesOf(sample));
    runner.run();
    data.set(fromBytes("float32", runner.output(0)) as Float32Array, position * row);
  }
  return withSamples(dataset, output.shape.slice(1), data);
}
