import { createWriteStream, existsSync } from "node:fs";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { elementCount } from "../base/index.ts";
import {
  checkStore,
  Coordinator,
  DEFAULT_RULES,
  DEFAULT_SECURE_RULES,
  type FederationPlan,
  type JudgedOn,
  type LogEvent,
  openStore,
  type RoundRules,
  type SecureRules,
  serveFederation,
} from "../federated/index.ts";
import { CONFIG_FILE, judgedPart, PROJECT_DATA, type ProjectConfig, projectData, projectSplit } from "../project/index.ts";
import { positive, whole } from "./arguments.ts";
import { FEDERATION_FOLDER, projectKeysOrNew } from "./federate-keys.ts";
import { above, type LearningOptions, learningFlags, learningOf, secureOf } from "./federate-learning.ts";
import { configOf, networkOf, startOf } from "./federate-project.ts";
import { writeFiles } from "./files.ts";
import { bytes, count, plain, plural } from "./format.ts";
import { answer, type CommonOptions, type Io } from "./io.ts";
import { loadModel } from "./model.ts";
import { FEDERATED_FILE, projectName } from "./project-files.ts";
import { percent } from "./train-text.ts";

const STORE_FILE = "federation.db";

interface ServeOptions extends CommonOptions, LearningOptions {
  readonly port: number;
  readonly host?: string;
  readonly store?: string;
  readonly queue?: string;
  readonly model?: string;
  readonly ready: number;
  readonly minimum: number;
  readonly spare: number;
  readonly mostSamples: number;
  readonly deadline: number;
  readonly stepDeadline: number;
  readonly judge: boolean;
  readonly behindProxy?: boolean;
  readonly log?: string;
}

/** The network to begin with: a file, or the project's own with its data's shape, classes and statistics. */
async function firstNetwork(folder: string, config: ProjectConfig, model: string | undefined): Promise<Pick<FederationPlan, "network" | "classes">> {
  if (model !== undefined) {
    const { graph } = await loadModel(model);
    return { network: graph, classes: graph.metadata?.["labels"]?.split("\n") ?? [] };
  }
  const dataset = await projectData(folder);
  try {
    return { network: await networkOf({ folder, config, dataset }), classes: dataset.info.classes };
  } finally {
    await dataset.close();
  }
}

/**
 * The part of the project's data that versions are judged on; none without data, or without such a part, or where the data is of something else than
 * the network that the project is given.
 */
async function judgedOn(folder: string, config: ProjectConfig, { network, classes }: FederationPlan): Promise<JudgedOn | undefined> {
  const data = join(folder, PROJECT_DATA);
  if (!existsSync(data)) return undefined;
  const dataset = await projectData(folder);
  try {
    const { shape, classes: own } = dataset.info;
    const fits = elementCount(shape) === elementCount(network.inputs[0]!.shape.slice(1)) && own.every((name) => classes.includes(name));
    if (!fits) return undefined;
    const positions = judgedPart(projectSplit(config, dataset));
    return positions.length === 0 ? undefined : { data: { folder: data }, positions };
  } finally {
    await dataset.close();
  }
}

/** Of the sum of two updates each of both clients knows the other's. */
const LEAST_ADDED = 3;

function secureRulesOf(said: Partial<SecureRules>, { minimum, mostSamples }: ServeOptions): SecureRules {
  return { ...DEFAULT_SECURE_RULES, minimum: Math.max(LEAST_ADDED, minimum), mostSamples, ...said };
}

async function planOf(folder: string, config: ProjectConfig, options: ServeOptions): Promise<FederationPlan> {
  const [learning, secure] = [learningOf(options), secureOf(options)];
  const { network, classes } = await firstNetwork(folder, config, options.model);
  return {
    name: projectName(folder),
    classes,
    ...startOf(network, config, options.devices === true),
    ...learning,
    ...(secure === undefined ? {} : { secure: secureRulesOf(secure, options) }),
  };
}

/** What a person may do once there is nothing left to learn: clients that come are told so until somebody ends it. */
const AFTERWARDS = `clients are told; Ctrl-C ends and writes ${FEDERATED_FILE}, kinglet federate export takes it from elsewhere`;

/** One line for what a person wants to see; refusals and enrolments are for the log. */
function eventText(event: LogEvent, goal: number): string | null {
  const { round, version, updates, bytes: sent, ms, why, message } = event;
  switch (event.event) {
    case "round begun":
      return `round ${round}: ${count(Number(event["selected"]))} of ${plural(Number(event["ready"]), "ready client")} asked`;
    case "round closed":
      return `round ${round}: ${plural(Number(updates), "update")}, ${bytes(Number(sent))}, ${(Number(ms) / 1000).toFixed(1)} s; version ${version} of ${goal}`;
    case "judged":
      return `version ${version}: ${percent(Number(event["accuracy"]))} right`;
    case "not judged":
      return `a version could not be judged: ${message}`;
    case "expelled":
      return `client ${event["client"]}: expelled`;
    case "round given up":
      return `round ${round}: given up, ${why}`;
    case "finished":
      return `finished with version ${version}: ${why}; ${AFTERWARDS}`;
    case "redis lost":
      return `Redis is away: ${message}`;
    case "redis reached":
      return "Redis is here again";
    case "round failed":
    case "failed":
      return `something failed: ${message}`;
    default:
      return null;
  }
}

/** A line of JSON for each event; trouble with the file is told once. */
function logTo(path: string, io: Io): { write(event: LogEvent): void; end(): Promise<void> } {
  const stream = createWriteStream(path, { flags: "a", mode: 0o600 });
  stream.once("error", (error) => io.err(`no log is written: ${error.message}\n`));
  stream.on("error", () => {});
  return {
    write: (event) => void stream.write(`${JSON.stringify({ time: new Date().toISOString(), ...event })}\n`),
    end: () => new Promise((done) => (stream.destroyed ? done() : stream.end(() => done()))),
  };
}

function stopAsked(io: Io): Promise<void> {
  return new Promise((done) => {
    const quiet = io.onStop?.(() => {
      quiet?.();
      done();
    });
  });
}

async function serveProject(given: string | undefined, options: ServeOptions, io: Io): Promise<void> {
  const folder = given ?? io.folder ?? ".";
  const { rounds, share, ready, minimum, spare, mostSamples, deadline, stepDeadline } = options;
  const times = { seconds: deadline, stepSeconds: stepDeadline };
  const rules: RoundRules = { ...DEFAULT_RULES, rounds, share, ready, minimum, spare, mostSamples, ...times };
  const store = options.store ?? join(folder, FEDERATION_FOLDER, STORE_FILE);
  checkStore(store, options.queue);
  const config = await configOf(folder, options);
  const plan = await planOf(folder, config, options);
  const judging = options.judge ? await judgedOn(folder, config, plan) : undefined;
  const keys = await projectKeysOrNew(folder);
  const log = options.log === undefined ? undefined : logTo(options.log, io);
  let last: string | null = null;
  const hooks = {
    log: (event: LogEvent): void => {
      log?.write(event);
      const text = eventText(event, rules.rounds);
      // Trouble that stays is met at each look, and told once.
      if (text !== null && text !== last) io.err(`${text}\n`);
      last = event.level === "info" ? null : (text ?? last);
    },
  };
  const { database, ...together } = await openStore(store, options.queue);
  const coordinator = await Coordinator.open(database, {
    plan,
    rules,
    keys,
    hooks,
    ...together,
    ...(judging === undefined ? {} : { judgedOn: judging }),
  });
  try {
    const { port, behindProxy, host } = options;
    const server = await serveFederation(coordinator, {
      port,
      hooks,
      ...(host === undefined ? {} : { host }),
      ...(behindProxy === true ? { behindProxy } : {}),
    });
    const [{ length }, before] = [coordinator.model.form, await coordinator.status()];
    io.err(`${plain(plan.name)}, ${count(length)} parameters, listens on port ${server.port}; its key is ${keys.publicKey}\n`);
    io.err(
      before.state === "finished"
        ? `it has finished with version ${before.version}; ${AFTERWARDS}\n`
        : "kinglet federate token makes tokens for its clients; Ctrl-C ends, and the same command goes on\n",
    );
    await stopAsked(io);
    io.err("stopping\n");
    await server.stop();
    const [status, file] = [await coordinator.status(), join(folder, FEDERATED_FILE)];
    if (status.version > 0) await writeFiles(new Map([[file, await coordinator.export()]]));
    answer(io, options, status, () =>
      status.version > 0 ? `Version ${status.version} of ${rules.rounds}. Written: ${plain(file)}` : "No round was finished.",
    );
  } finally {
    await coordinator.close();
    await log?.end();
  }
}

const EXAMPLES = `
The store, the project's key and the newest model lie in the project's folder. Without data of its own a
project serves a network that knows its classes: --model.

Examples:
  kinglet federate serve --port 8080 --rounds 100 --share 0.2
  kinglet federate serve clouds/ --model clouds/model.kinglet --compress 8bit --clip 1 --noise 1 --budget 8
  kinglet federate serve --secure --minimum 10`;

export function addServe(federate: Command, io: Io): void {
  learningFlags(
    federate
      .command("serve")
      .description("Coordinates a federation: clients enrol with a token, train on data that they keep, and send updates.")
      .argument("[dir]", `the project's folder, with ${CONFIG_FILE} (default: this folder)`)
      .option("--port <n>", "to listen on", whole(0, 65_535), 8080)
      .option("--host <address>", "to listen at (default: all of this machine)")
      .option(
        "--store <place>",
        `all state: a SQLite file (default: ${FEDERATION_FOLDER}/${STORE_FILE} of the project), or postgres://user@host/name`,
      )
      .option("--queue <address>", "redis://host: the coordinator is several processes, each started like this")
      .option("--model <file>", "the network to begin with, instead of a new one"),
  )
    .option("--ready <n>", "clients without whom no round begins", positive, DEFAULT_RULES.ready)
    .option("--minimum <n>", `updates without which a round is given up; with --secure ${LEAST_ADDED} at least`, positive, DEFAULT_RULES.minimum)
    .addOption(new Option("--spare <factor>", "clients asked for each update wanted").argParser(above(1, 10, true)).default(DEFAULT_RULES.spare))
    .option("--most-samples <n>", "a client with more counts as one with so many", positive, DEFAULT_RULES.mostSamples)
    .addOption(new Option("--deadline <seconds>", "of a round").argParser(above(0, 1e6, false)).default(DEFAULT_RULES.seconds))
    .addOption(
      new Option("--step-deadline <seconds>", "with --secure: of each step after the training")
        .argParser(above(0, 1e6, false))
        .default(DEFAULT_RULES.stepSeconds),
    )
    .option("--no-judge", "tries no version on the test part of the project's data")
    .option("--behind-proxy", "take clients' addresses from X-Forwarded-For")
    .option("--log <file>", "a line of JSON for each event is added to it")
    .option("--json", "one JSON document on stdout at the end")
    .addHelpText("after", EXAMPLES)
    .action((folder: string | undefined, options: ServeOptions) => serveProject(folder, options, io));
}
