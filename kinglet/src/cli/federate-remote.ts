import { KingletError } from "../base/index.ts";
import { coordinatorUrl, type ProjectKeys, projectOf, refusalOf, sign } from "../federated/index.ts";
import { projectKeys } from "./federate-keys.ts";
import type { CommonOptions, Io } from "./io.ts";

/** A token for one request lives as long as a command may. */
const ADMIN_MS = 5 * 60 * 1000;

export interface RemoteOptions extends CommonOptions {
  readonly project?: string;
}

/** The keys of the project that a command is for. @throws what `projectKeys` throws. */
export const keysFor = ({ project }: RemoteOptions, io: Io): Promise<ProjectKeys> => projectKeys(project ?? io.folder ?? ".");

/** Asks a coordinator, as the holder of its project's key. @throws KingletError `bad-input` where nobody answers, Refusal where it refuses. */
export async function ask(url: string, path: string, method: "GET" | "POST", { publicKey, secretKey }: ProjectKeys): Promise<Uint8Array> {
  const address = coordinatorUrl(url);
  const token = sign("admin", { project: projectOf(publicKey), expires: Date.now() + ADMIN_MS }, secretKey);
  let response: Response;
  try {
    response = await fetch(`${address}${path}`, { method, headers: { authorization: `Bearer ${token}` } });
  } catch {
    throw new KingletError("bad-input", "no coordinator answers there", { place: url, hint: "An address is like http://host:8080." });
  }
  if (!response.ok) throw await refusalOf(response);
  return new Uint8Array(await response.arrayBuffer());
}
