import { fromBytes } from "../../kinglet/src/base/index.ts";
import type { Sample } from "../../kinglet/src/driver/index.ts";
import type { Graph } from "../../kinglet/src/graph/index.ts";
import type { ProgramRunner } from "../../kinglet/src/loops/index.ts";
import { ONE_ROUNDING } from "../../kinglet/src/ops/one-rounding-testing.ts";
import { runPasses } from "../../kinglet/src/passes/index.ts";
import { placeBuffers } from "../../kinglet/src/plan/index.ts";
import { createJsRunner } from "../../kinglet/src/targets/js/index.ts";
import { lower } from "../../kinglet/src/targets/lower.ts";
import type { Outputs } from "./difference.ts";

/**
 * By the plain loops, but sums of 8-bit layers rounded once, by a product of floats: as XNNPACK does, which TensorFlow Lite leaves them to
 * (16-bit ones not), and ONNX Runtime.
 */
export function runRoundedOnce(graph: Graph, samples: readonly Sample[]): Outputs[] {
  const isWide = graph.values.some(({ dtype, data }) => dtype === "int16" && data === undefined);
  const program = lower(runPasses(graph), { schedules: isWide ? {} : ONE_ROUNDING });
  const runner: ProgramRunner = createJsRunner(program, placeBuffers(program));
  return samples.map((sample) => {
    sample.forEach((bytes, i) => runner.setInput(i, bytes));
    runner.run();
    return graph.outputs.map(({ dtype }, i) => fromBytes(dtype, runner.output(i)));
  });
}
