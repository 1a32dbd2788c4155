import { KingletError } from "../../base/index.ts";
import { boardById, type Sources } from "../../boards/index.ts";
import { type Compiled, compileGraph, compilerFor } from "../../driver/index.ts";
import type { Graph } from "../../graph/index.ts";
import { arenaAlignment, inSourceFolder, libraryId, makefile, printCLibrary } from "../../targets/c/index.ts";
import { deviceLearning, type TrainingStep } from "../../train/index.ts";
import { clientSource } from "./client-c.ts";
import { layoutOf } from "./layout.ts";
import { LINK_SOURCE, linkHeader } from "./link-c.ts";
import { networkForDevices } from "./network.ts";

/** Samples that lie in a device's flash: rows of `features`, as the network takes them, and their classes. */
export interface DeviceSamples {
  readonly features: Float32Array;
  readonly labels: ArrayLike<number>;
}

export interface ClientFirmwareOptions {
  /** Start of all names; made from the graph's name where absent. */
  readonly id?: string;
  /** Chooses the kernels. */
  readonly board?: string;
  /** Most bytes of the arena. */
  readonly ram?: number;
}

/** C of a device that takes part in a federation. */
export interface ClientFirmware {
  readonly id: string;
  /** The library with its learning step, frames and messages, and the client: `ID_client.h` says what the board has to give. */
  readonly sources: Sources;
  /** The same as a folder, with a Makefile. */
  readonly files: ReadonlyMap<string, string>;
  readonly compiled: Compiled;
  /** Numbers that it learns. */
  readonly parameters: number;
}

function compiledStep(step: TrainingStep, learnsAfter: string, { board, ram }: ClientFirmwareOptions): Compiled {
  const dsp = board !== undefined && boardById(board).dsp;
  const compiled = compileGraph(step.graph, { target: dsp ? "c-dsp" : "c", learnsAfter });
  const most = ram ?? (board === undefined ? Number.POSITIVE_INFINITY : boardById(board).sramBytes);
  if (compiled.plan.arenaBytes <= most) return compiled;
  throw new KingletError("does-not-fit", `learning all of the network needs ${compiled.plan.arenaBytes} bytes, and there are ${most}`, {
    hint: "A federation learns whole networks: take a smaller one.",
  });
}

/** Updates are of floats, as all clients of a federation have them. */
function checkFloats({ trained }: TrainingStep, place: string): void {
  const other = trained.find(({ variable: { value } }) => value.dtype !== "float32");
  if (other === undefined) return;
  throw new KingletError("unsupported", `a federation learns float32, and weights of this network are ${other.variable.value.dtype}`, {
    place,
    hint: "Take the network that kinglet federate export writes; what it has learned is quantized afterwards.",
  });
}

/** Where each learned tensor lies in the arena, in the order of the federation's vector. */
function placesOf(step: TrainingStep, { program, plan }: Compiled): { offset: number; bytes: number }[] {
  return step.trained.map(({ variable: { value } }) => {
    const buffer = program.buffers.findIndex((each) => each.value === value.id);
    return { offset: plan.offsets[buffer]!, bytes: 4 * program.buffers[buffer]!.length };
  });
}

/**
 * The firmware of a client that learns a whole float network, one sample at a time, and speaks over a serial line with a
 * `DeviceLearner`. Its samples never leave it: no message could carry one. Batch normalization is folded; the weights are the federation's
 * in any case, which has to fold it too (`networkForDevices`).
 * @throws KingletError `does-not-fit`, `unsupported` for a quantized network; what `networkForDevices` and compiling throw.
 */
export function clientFirmware(network: Graph, options: ClientFirmwareOptions = {}): ClientFirmware {
  const { step, learnsAfter } = deviceLearning(networkForDevices(network));
  checkFloats(step, network.name);
  const compiled = compiledStep(step, learnsAfter, options);
  const id = options.id ?? libraryId(network.name);
  const places = placesOf(step, compiled);
  const layout = layoutOf(step);
  const client = clientSource({
    id,
    inputs: { features: 0, targets: step.targetsInput, rates: step.ratesInput },
    classes: step.graph.inputs[step.targetsInput]!.shape.at(-1)!,
    places,
    layout: layout.fingerprint,
    alignment: arenaAlignment(compiled.program),
  });
  const sources = {
    ...Object.fromEntries(printCLibrary(compiled.program, compiled.plan, id)),
    "kinglet_link.h": linkHeader(),
    "kinglet_link.c": LINK_SOURCE,
    ...client,
  };
  const build = { id, ...compilerFor(options.board === undefined ? null : boardById(options.board)) };
  const files = new Map([...inSourceFolder(new Map(Object.entries(sources))), ["Makefile", makefile(build, Object.keys(sources), false)]]);
  return { id, sources, files, compiled, parameters: layout.length };
}

function floats(values: Float32Array): string {
  // Nine digits name a float.
  return [...values].map((x) => `${x.toPrecision(9)}f`).join(", ");
}

/** A source file with samples for a client: the two functions that `ID_client.h` asks for. */
export function samplesSource(id: string, { features, labels }: DeviceSamples): string {
  const count = labels.length;
  const size = features.length / count;
  const rows = Array.from({ length: count }, (_, i) => `  {${floats(features.subarray(i * size, (i + 1) * size))}},`);
  return `#include "${id}_client.h"
#include <string.h>

static const float features[${count}][${size}] = {
${rows.join("\n")}
};
static const uint16_t labels[${count}] = {${Array.from(labels).join(", ")}};

uint32_t ${id}_sample_count(void) { return ${count}; }

uint32_t ${id}_sample(uint32_t position, float *into) {
  memcpy(into, features[position], sizeof features[position]);
  return labels[position];
}
`;
}

/** `main` of a client on an emulated core. */
export function emulatedMain(id: string): string {
  return `#include "kinglet_board.h"
#include "kinglet_link.h"
#include "${id}_client.h"

uint8_t kinglet_serial_read(void) { return board_serial_read(); }
void kinglet_serial_write(uint8_t byte) { board_serial_write(byte); }

int main(void) {
  board_serial_start();
  ${id}_client();
}
`;
}
