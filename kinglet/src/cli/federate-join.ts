import { stat } from "node:fs/promises";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { KingletError } from "../base/index.ts";
import { writeOutputFolder } from "../driver/index.ts";
import {
  type ClientEvent,
  clientFirmware,
  type ClientOptions,
  type Conditions,
  fileStore,
  hasBatchNorm,
  join as joinFederation,
  joinForDevice,
  openSerialPort,
  type Participation,
} from "../federated/index.ts";
import { PROJECT_DATA } from "../project/index.ts";
import { memorySize, positive } from "./arguments.ts";
import { bytes, count, plain } from "./format.ts";
import { answer, type CommonOptions, type Io } from "./io.ts";
import { loadModel } from "./model.ts";

interface JoinCliOptions extends CommonOptions {
  readonly data?: string;
  readonly serial?: string;
  readonly baud: number;
  readonly token?: string;
  readonly identity?: string;
  readonly memory?: number;
  readonly only: readonly (keyof Conditions)[];
  readonly poll?: boolean;
}

const CONDITIONS = ["charging", "unmetered", "idle"] as const satisfies readonly (keyof Conditions)[];

function conditions(text: string): (keyof Conditions)[] {
  const names = text.split(",") as (keyof Conditions)[];
  const strange = names.find((name) => !CONDITIONS.includes(name));
  if (strange !== undefined) throw new KingletError("misuse", `--only is ${text}; possible are ${CONDITIONS.join(", ")}, and several with commas`);
  return names;
}

function eventText(event: ClientEvent): string {
  switch (event.event) {
    case "enrolled":
      return `enrolled as client ${event.client}`;
    case "ready":
      return `${count(event.samples)} samples; a training step needs ${bytes(event.memoryBytes)}`;
    case "waiting":
      return event.for === "task" ? "waiting for a task" : `waiting until it is ${event.for}`;
    case "training":
      return `round ${event.round}: training version ${event.version}`;
    case "sent":
      return `round ${event.round}: sent ${bytes(event.bytes)}`;
    case "left out":
      return `round ${event.round}: left out, since ${event.why}`;
    case "disconnected":
      return `trying again in ${Math.ceil(event.waitMs / 1000)} s: ${event.why}`;
    default:
      return event satisfies never;
  }
}

/** A project's data set, or a data set's own folder. */
export async function dataFolder(folder: string): Promise<string> {
  const inProject = join(folder, PROJECT_DATA);
  return (await stat(inProject).catch(() => null)) === null ? folder : inProject;
}

async function takePart(url: string, options: JoinCliOptions, client: ClientOptions, folder: string): Promise<Participation> {
  if (options.serial !== undefined) return await joinForDevice(url, await openSerialPort(options.serial, options.baud), client);
  const limit = options.memory === undefined ? {} : { memoryLimit: options.memory };
  return await joinFederation(url, { ...client, ...limit, data: { folder: await dataFolder(folder) } });
}

async function joinCommand(url: string, options: JoinCliOptions, io: Io): Promise<void> {
  if ((options.data === undefined) === (options.serial === undefined))
    throw new KingletError("misuse", "say --data for samples of this machine, or --serial for a device that has its own");
  const folder = options.data ?? io.folder ?? ".";
  const stop = new AbortController();
  const quiet = io.onStop?.(() => stop.abort());
  const client: ClientOptions = {
    ...(options.token === undefined ? {} : { token: options.token }),
    store: fileStore(options.identity ?? join(folder, ".kinglet", "client.json")),
    transport: options.poll === true ? "poll" : "auto",
    when: Object.fromEntries(options.only.map((name) => [name, true])),
    onEvent: (event) => io.err(`${eventText(event)}\n`),
    signal: stop.signal,
  };
  try {
    const took = await takePart(url, options, client, folder);
    answer(
      io,
      options,
      { url, ...took },
      () => `The federation has finished with version ${took.version}; ${count(took.rounds)} updates are this client's.`,
    );
  } finally {
    quiet?.();
  }
}

interface FirmwareCliOptions extends CommonOptions {
  readonly out: string;
  readonly board?: string;
  readonly name?: string;
}

async function firmwareCommand(path: string, options: FirmwareCliOptions, io: Io): Promise<void> {
  const { graph } = await loadModel(path, {});
  const { board, name } = options;
  const made = clientFirmware(graph, { ...(board === undefined ? {} : { board }), ...(name === undefined ? {} : { id: name }) });
  const files = await writeOutputFolder(options.out, new Map(made.files));
  const { arenaBytes } = made.compiled.plan;
  answer(io, options, { model: path, id: made.id, parameters: made.parameters, arenaBytes, out: options.out, files }, () =>
    [
      `It learns ${count(made.parameters)} numbers in ${bytes(arenaBytes)} of RAM.`,
      ...(hasBatchNorm(graph) ? ["Batch normalization is folded in it; kinglet federate serve --devices does so for all clients."] : []),
      `Written: ${plain(options.out)}; make in it builds lib${made.id}.a. Your code gives the serial line (kinglet_link.h) and the samples (${made.id}_client.h), and calls ${made.id}_client().`,
    ].join("\n"),
  );
}

const EXAMPLES = `
Examples:
  kinglet federate join http://host:8080 --data ./mine --token TOKEN
  kinglet federate join http://host:8080 --data ./mine --only charging,idle
  kinglet federate join http://host:8080 --serial /dev/ttyACM0 --token TOKEN`;

export function addJoin(federate: Command, io: Io): void {
  federate
    .command("join")
    .description("Takes part in a federation: trains here when the coordinator asks, and sends what was learned, never a sample.")
    .argument("<url>", "of the coordinator")
    .option("--data <dir>", "a project with imported data, or a data set's folder")
    .option("--serial <path>", "instead: a device with its own samples behind this port, such as /dev/ttyACM0")
    .option("--baud <n>", "of the serial port", positive, 115_200)
    .option("--token <token>", "from the federation; needed the first time, and after a year away")
    .option(
      "--identity <file>",
      "where this client keeps who it is, and beside it what it remembers (default: .kinglet/client.json in the data's folder)",
    )
    .option("--memory <bytes>", "most for a training step, as 64m; more is refused", memorySize)
    .addOption(
      new Option("--only <when>", "trains only while the machine is charging, unmetered, idle, as far as it can tell")
        .argParser(conditions)
        .default([], "always"),
    )
    .option("--poll", "asks again and again, without a socket")
    .option("--json", "one JSON document on stdout")
    .addHelpText("after", EXAMPLES)
    .action((url: string, options: JoinCliOptions) => joinCommand(url, options, io));
  federate
    .command("firmware")
    .description("Writes C for a device that takes part through a gateway: kinglet federate join --serial.")
    .argument("<model>", "the federation's network, as kinglet federate export writes it")
    .requiredOption("--out <dir>", "folder to write; replaced only if Kinglet made it")
    .option("--board <name>", "check that it fits this board and build for its processor")
    .option("--name <id>", "start of all names in the output (default: the network's name)")
    .option("--json", "one JSON document on stdout")
    .action((path: string, options: FirmwareCliOptions) => firmwareCommand(path, options, io));
}
