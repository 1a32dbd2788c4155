import { bytesOf, type TypedArray } from "../base/index.ts";
import { runOnCore } from "../boards/index.ts";
import { compileGraph } from "../driver/index.ts";
import { inputBytes, printCLibrary } from "../targets/c/index.ts";
import { type DeviceLearning, TrainingSession } from "./index.ts";

/** What a device is given in a row: the network's input, the class as targets, and the rate. */
export type Lesson = readonly [data: TypedArray, targets: Float32Array, rate: Float32Array];

interface Place {
  readonly offset: number;
  readonly bytes: number;
}

/** Firmware that is prepared once, learns from all lessons in a row, and prints their losses and then variables. */
function learner(count: number, bytes: number, parts: readonly number[], variables: readonly Place[]): string {
  const fills = parts.map(
    (length, i) => `memcpy(net_input${i}(arena), sample + ${parts.slice(0, i).reduce((sum, each) => sum + each, 0)}, ${length});`,
  );
  return `#include <string.h>
#include "kinglet_board.h"
#include "net.h"
extern const unsigned char samples_bin[];
static uint8_t arena[NET_ARENA_BYTES] __attribute__((aligned(16)));
int main(void) {
  net_init(arena);
  for (int k = 0; k < ${count}; k++) {
    const unsigned char *sample = samples_bin + k * ${bytes};
    ${fills.join("\n    ")}
    net_run(arena);
    net_learn(arena);
    board_print_hex(net_output0(arena), 4);
  }
  ${variables.map(({ offset, bytes: size }) => `board_print_hex(arena + ${offset}, ${size});`).join("\n  ")}
  return 0;
}
`;
}

/** What the emulated Cortex-M4 prints: the loss of each lesson, then everything that learned, in hexadecimal. */
export async function learnOnCore(learning: DeviceLearning, lessons: readonly Lesson[]): Promise<string> {
  const { program, plan } = compileGraph(learning.step.graph, { target: "c-dsp", learnsAfter: learning.learnsAfter });
  const variables = learning.step.trained.map(({ variable: { value } }) => {
    const buffer = program.buffers.findIndex((each) => each.value === value.id);
    return { offset: plan.offsets[buffer]!, bytes: bytesOf(value.initial!).length };
  });
  const { output } = await runOnCore({
    core: "cortex-m4",
    sources: {
      ...Object.fromEntries(printCLibrary(program, plan, "net")),
      "main.c": learner(
        lessons.length,
        inputBytes(program),
        lessons[0]!.map((part) => part.byteLength),
        variables,
      ),
      "samples.bin": Uint8Array.from(lessons.flat().flatMap((part) => [...bytesOf(part)])),
    },
  });
  return output;
}

function hex(values: TypedArray): string {
  return Buffer.from(bytesOf(values)).toString("hex");
}

/** The same by a session in this process, on the plain loops; and how many bytes of what learned are others than before. */
export function learnHere(learning: DeviceLearning, lessons: readonly Lesson[]): { readonly output: string; readonly changed: number } {
  const session = new TrainingSession(learning.network, learning.options, "plain");
  const losses = lessons.map(([data, targets, rate]) => session.run([data], targets, rate[0]!).loss);
  const variables = session.step.trained.map(({ variable }) => ({ before: bytesOf(variable.value.initial!), after: session.stored(variable.name) }));
  const changed = variables.map(({ before, after }) => bytesOf(after).filter((byte, i) => byte !== before[i]).length);
  return {
    output: hex(Float32Array.from(losses)) + variables.map(({ after }) => hex(after)).join(""),
    changed: changed.reduce((sum, each) => sum + each, 0),
  };
}
