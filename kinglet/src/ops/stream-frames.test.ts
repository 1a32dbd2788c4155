import { describe, expect, it } from "vitest";
import { bytesOf, elementCount } from "../base/index.ts";
import { compileGraph } from "../driver/index.ts";
import { GraphBuilder } from "../graph/index.ts";
import { createJsRunner } from "../targets/js/index.ts";
import { streamFrames, streamState, type StreamFramesAttributes } from "./stream-frames.ts";

/** Runs of one program, each with the next numbers 1, 2, 3 …; frames and whether they are valid. */
function stream(attributes: StreamFramesAttributes, samples: number, runs: number): { frames: number[][]; valid: boolean }[] {
  const b = new GraphBuilder("stream");
  const x = b.input("x", { dtype: "int16", shape: [samples] });
  const state = b.variable("state", streamState(1, attributes));
  const outputs = streamFrames.infer([x, state], { ...attributes }).map((type, i) => b.value(`y${i}`, type));
  b.node("streamFrames", [x, state], outputs, { ...attributes });
  for (const output of outputs) b.output(output);
  const { program, plan } = compileGraph(b.build(), { target: "plain" });
  const runner = createJsRunner(program, plan);
  runner.reset();
  return Array.from({ length: runs }, (_, run) => {
    runner.setInput(0, bytesOf(Int16Array.from({ length: samples }, (_v, i) => run * samples + i + 1)));
    runner.run();
    const all = [...new Int16Array(runner.output(0).slice().buffer)];
    const count = elementCount(outputs[0]!.shape) / attributes.size;
    return {
      frames: Array.from({ length: count }, (_v, f) => all.slice(f * attributes.size, (f + 1) * attributes.size)),
      valid: runner.output(1)[0] === 1,
    };
  });
}

/** A queue, from the definition. */
function queue(
  { chunk, size, step, prefill, repeatFirst }: StreamFramesAttributes,
  samples: number,
  runs: number,
): { frames: number[][]; valid: boolean }[] {
  let waiting = prefill ? new Array<number>(size - chunk).fill(0) : [];
  let next = 1;
  return Array.from({ length: runs }, () => {
    let valid = true;
    const frames = Array.from({ length: samples / chunk }, () => {
      const piece = Array.from({ length: chunk }, () => next++);
      for (let again = next === chunk + 1 ? repeatFirst : 0; again >= 0; again--) waiting.push(...piece);
      if (waiting.length < size) {
        valid = false;
        return new Array<number>(size).fill(0);
      }
      const frame = waiting.slice(0, size);
      waiting = waiting.slice(step);
      return frame;
    });
    return { frames, valid };
  });
}

describe("frames of a stream", () => {
  it.each([
    [{ chunk: 4, size: 10, step: 4, prefill: true, repeatFirst: 0, flat: false }, 4],
    [{ chunk: 4, size: 10, step: 4, prefill: false, repeatFirst: 0, flat: false }, 4],
    [{ chunk: 4, size: 10, step: 4, prefill: false, repeatFirst: 0, flat: false }, 12],
    [{ chunk: 5, size: 5, step: 5, prefill: true, repeatFirst: 0, flat: false }, 10],
    [{ chunk: 3, size: 12, step: 6, prefill: false, repeatFirst: 1, flat: true }, 3],
    [{ chunk: 3, size: 9, step: 3, prefill: false, repeatFirst: 2, flat: true }, 3],
  ] as const)("%o in pieces of %i come as from a queue", (attributes, samples) => {
    expect(stream(attributes, samples, 9)).toEqual(queue(attributes, samples, 9));
  });

  it("that cannot be are refused", () => {
    const good = { chunk: 4, size: 10, step: 4, prefill: false, repeatFirst: 0, flat: false };
    const x = { dtype: "int16", shape: [8] } as const;
    for (const bad of [{ chunk: 3 }, { step: 3 }, { step: 12 }, { size: 3 }, { repeatFirst: 3 }, { flat: true }, { size: 40000 }])
      expect(() => streamFrames.infer([x, streamState(1, good)], { ...good, ...bad })).toThrow("streamFrames");
  });
});
