import { randomBytes } from "node:crypto";
import { link, mkdir, open, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { KingletError } from "../base/index.ts";
import { newProjectKeys, type ProjectKeys, publicKeyOf } from "../federated/index.ts";
import { exists } from "./project-files.ts";

/** Where a project keeps what is its own: a folder that version control leaves out. */
export const FEDERATION_FOLDER = ".kinglet";
const KEY_FILE = "federation.key";

/** Others of this machine must not read it. Windows tells nothing by these bits. */
async function checkPrivate(path: string): Promise<void> {
  const { mode } = await stat(path);
  if (process.platform !== "win32" && (mode & 0o077) !== 0)
    throw new KingletError("bad-file", "others can read this key", {
      place: path,
      hint: "Say chmod 600, or make a new key if somebody has read it.",
    });
}

/** A project's keys. @throws KingletError `bad-input` where there are none yet, `bad-file` where others can read them. */
export async function projectKeys(folder: string): Promise<ProjectKeys> {
  const path = join(folder, FEDERATION_FOLDER, KEY_FILE);
  if (!(await exists(path)))
    throw new KingletError("bad-input", "this project has no key yet", { place: folder, hint: "kinglet federate serve or token makes one." });
  await checkPrivate(path);
  const secretKey = (await readFile(path, "utf8")).trim();
  if (!/^[0-9a-f]{64}$/.test(secretKey)) throw new KingletError("bad-file", "this is no key", { place: path });
  return { secretKey, publicKey: publicKeyOf(secretKey) };
}

/** A whole key takes its place at once, or none does; whoever comes second finds the first one's. */
async function writeNewKey(path: string): Promise<void> {
  const fresh = `${path}.${randomBytes(4).toString("hex")}.tmp`;
  const file = await open(fresh, "wx", 0o600);
  try {
    await file.writeFile(`${newProjectKeys().secretKey}\n`);
    await file.sync();
    await link(fresh, path).catch((error: NodeJS.ErrnoException) => (error.code === "EEXIST" ? undefined : Promise.reject(error)));
  } finally {
    await file.close();
    await rm(fresh);
  }
}

/** The same; new ones where there are none. */
export async function projectKeysOrNew(folder: string): Promise<ProjectKeys> {
  const path = join(folder, FEDERATION_FOLDER, KEY_FILE);
  if (!(await exists(path))) {
    await mkdir(join(folder, FEDERATION_FOLDER), { recursive: true });
    await writeNewKey(path);
  }
  return await projectKeys(folder);
}
