import { bytesOf, fromBytes, mapInto } from "../../base/index.ts";
import type { Graph, Value } from "../../graph/index.ts";
import { storedNumbers } from "../../ops/index.ts";
import { createJsRunner } from "../../targets/js/index.ts";
import { createWasmRunner } from "../../targets/wasm/index.ts";
import { compileGraph } from "../compile.ts";
import { checkSample, plainValue, type Sample } from "../tensors.ts";

/** Looks up what a value holds after a run, as real numbers; undefined for what has no bytes of its own. */
export type ValueReader = (value: Value) => Float32Array | undefined;

/** Real numbers of a tensor's bytes. */
export function realNumbers(value: Value, bytes: Uint8Array): Float32Array {
  const data = fromBytes(value.dtype, bytes);
  if (value.dtype === "float32") return data as Float32Array;
  const [scale, zero] = [value.quantization?.scales[0] ?? 1, value.quantization?.zeroPoints[0] ?? 0];
  return mapInto(new Float32Array(data.length), data as Int8Array, (stored) => scale * (Number(stored) - zero));
}

/** A network that keeps all its values readable after each run. */
export interface ValueRunner {
  /** Runs one sample from the initial state; what `visit` reads is valid only inside it. */
  run<T>(sample: Sample, visit: (read: ValueReader) => T): T;
}

/** Compiles a graph with all values apart, for WebAssembly where that exists. @throws KingletError from the compiler. */
export function createValueRunner(graph: Graph): ValueRunner {
  const target = typeof WebAssembly === "undefined" ? "js" : "wasm";
  const compiled = compileGraph(graph, { target, pinned: true });
  const runner = (target === "wasm" ? createWasmRunner : createJsRunner)(compiled.program, compiled.plan);
  const buffers = new Map(compiled.program.buffers.flatMap(({ value }, i) => (value === undefined ? [] : [[value, i] as const])));
  return {
    run(sample, visit) {
      checkSample(compiled, sample);
      runner.reset();
      sample.forEach((bytes, i) => runner.setInput(i, bytes));
      runner.run();
      return visit((value) => {
        const index = buffers.get(value.id);
        if (index === undefined) return undefined;
        return realNumbers(value, plainValue(compiled, compiled.program.buffers[index]!, runner.buffer(index)));
      });
    },
  };
}

/** A sample of real numbers as the bytes that a network with these inputs takes. */
export function sampleFor(graph: Graph, source: Graph, sample: Sample): Sample {
  return graph.inputs.map((input, i) => {
    if (input.dtype === source.inputs[i]!.dtype) return sample[i]!;
    return bytesOf(storedNumbers(input, fromBytes("float32", sample[i]!) as Float32Array));
  });
}
