import { KingletError } from "../base/index.ts";
import { checkedJson, type ProjectKeys, projectOf, Refusal, RefusalMessage, sign } from "../federated/index.ts";
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
  const token = sign("admin", { project: projectOf(publicKey), expires: Date.now() + ADMIN_MS }, secretKey);
  let response: Response;
  try {
    response = await fetch(new URL(path, url), { method, headers: { authorization: `Bearer ${token}` } });
  } catch {
    throw new KingletError("bad-input", "no coordinator answers there", { place: url, hint: "An address is like http://host:8080." });
  }
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (response.ok) return bytes;
  const { code, message } = checkedJson(RefusalMessage, new TextDecoder().decode(bytes), "the answer").error;
  throw new Refusal(code, message);
}
