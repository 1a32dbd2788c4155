import type { Command } from "commander";
import { checkedJson, type ClientReport, ClientsAnswer, ExpelAnswer, openSigned, type ProjectKeys, RevokeAnswer } from "../federated/index.ts";
import { formatTable } from "../report/index.ts";
import { positive } from "./arguments.ts";
import { ask, keysFor, type RemoteOptions } from "./federate-remote.ts";
import { count, plural } from "./format.ts";
import { answer, type Io } from "./io.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const day = (time: number): string => new Date(time).toISOString().slice(0, 10);

async function allClients(url: string, keys: ProjectKeys): Promise<ClientReport[]> {
  const all: ClientReport[] = [];
  for (let more = true; more; ) {
    const path = `/v1/clients?after=${all.at(-1)?.client ?? 0}`;
    const page = checkedJson(ClientsAnswer, text(await ask(url, path, "GET", keys)), "the list of clients");
    all.push(...page.clients);
    more = page.more && page.clients.length > 0;
  }
  return all;
}

function clientsText(clients: readonly ClientReport[]): string {
  if (clients.length === 0) return "no client has enrolled";
  const right = { align: "right" } as const;
  const columns = [
    { title: "Client", ...right },
    { title: "Token" },
    { title: "Enrolled" },
    { title: "Last round", ...right },
    { title: "Answered", ...right },
    { title: "Declined", ...right },
    { title: "" },
  ];
  const rows = clients.map(({ client, token, enrolled, lastAnswered, answered, declined, expelled }) => [
    String(client),
    token,
    day(enrolled),
    lastAnswered === null ? "" : count(lastAnswered),
    count(answered),
    count(declined),
    expelled === null ? "" : `expelled ${day(expelled)}`,
  ]);
  return formatTable(columns, rows);
}

async function showClients(url: string, options: RemoteOptions, io: Io): Promise<void> {
  const clients = await allClients(url, await keysFor(options, io));
  answer(io, options, { clients }, () => clientsText(clients));
}

async function expelClient(url: string, client: number, options: RemoteOptions, io: Io): Promise<void> {
  const bytes = await ask(url, `/v1/clients/${client}/expel`, "POST", await keysFor(options, io));
  const { expelled } = checkedJson(ExpelAnswer, text(bytes), "the answer");
  answer(
    io,
    options,
    expelled,
    () =>
      `Client ${client} is expelled. It came with token ${expelled.token}; whoever still has that may enrol again: kinglet federate revoke ${url} ${expelled.token}`,
  );
}

async function revokeToken(url: string, token: string, options: RemoteOptions, io: Io): Promise<void> {
  const keys = await keysFor(options, io);
  const id = token.includes(".") ? openSigned("enrolment", token, keys.publicKey).id : token;
  const revoked = checkedJson(RevokeAnswer, text(await ask(url, `/v1/tokens/${id}/revoke`, "POST", keys)), "the answer");
  answer(io, options, revoked, () => `Token ${id} enrols nobody any more. ${plural(revoked.enrolled, "client")} came with it, and may stay.`);
}

/** Commands about who takes part. @param remote makes one that asks a coordinator. */
export function addMembers(remote: (name: string, description: string) => Command, io: Io): void {
  remote("clients", "Lists who has enrolled: with which token, since when, their last accepted round, how often they answered and declined.").action(
    (url: string, options: RemoteOptions) => showClients(url, options, io),
  );
  remote("expel", "Shuts a client out: it is refused from now on, and left out of the open round, even if its update is there.")
    .argument("<client>", "its number, as kinglet federate clients has it", positive)
    .action((url: string, client: number, options: RemoteOptions) => expelClient(url, client, options, io));
  remote("revoke", "Lets nobody enrol any more with a token. Who came with it stays.")
    .argument("<token>", "the token, or its id as kinglet federate clients has it")
    .action((url: string, token: string, options: RemoteOptions) => revokeToken(url, token, options, io));
}
