import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import type { Command } from "commander";
import { KingletError } from "../base/index.ts";
import { checkedJson, projectOf, sign, StatusAnswer } from "../federated/index.ts";
import { isProject } from "../project/index.ts";
import { formatTable } from "../report/index.ts";
import { positive } from "./arguments.ts";
import { projectKeysOrNew } from "./federate-keys.ts";
import { addMembers } from "./federate-members.ts";
import { ask, keysFor, type RemoteOptions } from "./federate-remote.ts";
import { writeFiles } from "./files.ts";
import { count, plain, plural } from "./format.ts";
import { percent } from "./train-text.ts";
import { answer, type CommonOptions, type Io } from "./io.ts";
import { FEDERATED_FILE } from "./project-files.ts";

const DAY_MS = 24 * 3600 * 1000;

interface TokenOptions extends CommonOptions {
  readonly uses: number;
  readonly days: number;
}

async function makeToken(given: string | undefined, { uses, days, ...common }: TokenOptions, io: Io): Promise<void> {
  const folder = given ?? io.folder ?? ".";
  // A key of its own in a folder that was mistyped would enrol nobody.
  if (!(await isProject(folder)))
    throw new KingletError("bad-input", "there is no project here", {
      place: folder,
      hint: "Type it in the folder that kinglet federate serve works in.",
    });
  const { publicKey, secretKey } = await projectKeysOrNew(folder);
  const expires = Date.now() + days * DAY_MS;
  const project = projectOf(publicKey);
  const id = randomBytes(16).toString("hex");
  const token = sign("enrolment", { project, id, uses, expires }, secretKey);
  // The token alone goes to stdout, so that it can be piped.
  if (common.json !== true)
    io.err(
      `enrols ${plural(uses, "client")} until ${new Date(expires).toISOString().slice(0, 10)}; its id is ${id}; the project's key is ${publicKey}\n`,
    );
  answer(io, common, { token, id, project, key: publicKey, uses, expires }, () => token);
}

function roundsText(rounds: StatusAnswer["rounds"]): string {
  const right = { align: "right" } as const;
  const judged = rounds.some(({ accuracy }) => accuracy !== undefined);
  const columns = [
    { title: "Round", ...right },
    { title: "From version", ...right },
    { title: "Ready", ...right },
    { title: "Asked", ...right },
    { title: "Answered", ...right },
    { title: "Bytes", ...right },
    { title: "Seconds", ...right },
    ...(judged ? [{ title: "Right", ...right }] : []),
    { title: "" },
  ];
  const rows = rounds.map((round) => [
    count(round.round),
    count(round.version),
    count(round.ready),
    count(round.selected),
    count(round.answered),
    count(round.bytes),
    round.ended === null ? "" : ((round.ended - round.opened) / 1000).toFixed(1),
    ...(judged ? [round.accuracy === undefined ? "" : percent(round.accuracy)] : []),
    round.status === "closed" ? "" : round.status,
  ]);
  return formatTable(columns, rows);
}

function statusText({ name, project, state, version, goal, clients, epsilon, judged, rounds }: StatusAnswer): string {
  return [
    `${plain(name)} (project ${project}): ${state}, version ${version} of ${goal}`,
    `${plural(clients.enrolled, "client")} enrolled, ${clients.ready} ready, ${plural(clients.connections, "connection")}`,
    ...(epsilon === undefined ? [] : [`privacy spent: ε ${epsilon === null ? "without bound" : epsilon.toFixed(2)}`]),
    ...(judged === undefined ? [] : [`version ${judged.version} is right in ${percent(judged.accuracy)}`]),
    ...(rounds.length === 0 ? ["no round yet"] : ["", roundsText(rounds)]),
  ].join("\n");
}

async function showStatus(url: string, path: "status" | "pause" | "resume", options: RemoteOptions, io: Io): Promise<void> {
  const bytes = await ask(url, `/v1/${path}`, path === "status" ? "GET" : "POST", await keysFor(options, io));
  const status = checkedJson(StatusAnswer, new TextDecoder().decode(bytes), "the status");
  answer(io, options, status, () => statusText(status));
}

async function exportModel(url: string, options: RemoteOptions & { readonly out: string }, io: Io): Promise<void> {
  const bytes = await ask(url, "/v1/export", "GET", await keysFor(options, io));
  const path = resolve(io.folder ?? ".", options.out);
  await writeFiles(new Map([[path, bytes]]));
  answer(io, options, { file: path, bytes: bytes.length }, () => `Written: ${plain(path)}`);
}

/** The commands of whoever has a project's key. */
export function addAdministration(federate: Command, io: Io): void {
  federate
    .command("token")
    .description("Makes a token that lets clients enrol: give it to those who shall take part.")
    .argument("[dir]", "the project's folder (default: this folder)")
    .option("--uses <n>", "clients that may enrol with it", positive, 100)
    .option("--days <n>", "until it expires", positive, 30)
    .option("--json", "one JSON document on stdout")
    .action((folder: string | undefined, options: TokenOptions) => makeToken(folder, options, io));
  const remote = (name: string, description: string): Command =>
    federate
      .command(name)
      .description(description)
      .argument("<url>", "of the coordinator, such as http://host:8080")
      .option("--project <dir>", "the folder with the project's key (default: this folder)")
      .option("--json", "one JSON document on stdout");
  for (const [name, description] of [
    ["status", "Shows how a federation is going."],
    ["pause", "Begins no more rounds; an open one goes on."],
    ["resume", "Begins rounds again."],
  ] as const)
    remote(name, description).action((url: string, options: RemoteOptions) => showStatus(url, name, options, io));
  addMembers(remote, io);
  remote("export", "Writes the newest version of the model.")
    .option("--out <file>", "where to", FEDERATED_FILE)
    .action((url: string, options: RemoteOptions & { readonly out: string }) => exportModel(url, options, io));
}
