import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { KingletError } from "../base/index.ts";
import { INDEX_FILE, MANIFEST_FILE, NORMALIZATION_FILE } from "./manifest.ts";

const OURS = /^data-\d{5}\.bin$/;
const NAMED = new Set([MANIFEST_FILE, INDEX_FILE, NORMALIZATION_FILE, `${NORMALIZATION_FILE}.new`]);
const OLD = "-old";

function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && codes.includes((error as NodeJS.ErrnoException).code ?? "");
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

/**
 * Refuses a folder whose contents an import would destroy: only a data set that Kinglet wrote is replaced.
 * @throws KingletError `bad-input` that says what is in the way.
 */
export async function checkReplaceable(folder: string): Promise<void> {
  const fail = (message: string): never => {
    throw new KingletError("bad-input", message, { place: folder, hint: "Choose another folder with --out, or move what is in it." });
  };
  const info = await stat(folder).catch((error: unknown) => (hasCode(error, "ENOENT") ? null : Promise.reject(error)));
  if (info === null) return;
  if (!info.isDirectory()) fail("this is a file, and a data set needs a folder");
  const names = await readdir(folder);
  const foreign = names.find((name) => !NAMED.has(name) && !OURS.test(name));
  if (foreign !== undefined) fail(`the folder holds "${foreign}", which is no part of a data set`);
  if (names.length > 0 && !names.includes(MANIFEST_FILE)) fail("the folder is not empty and holds no data set");
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !hasCode(error, "ESRCH");
  }
}

const prefixOf = (folder: string): string => `.${basename(folder)}.kinglet-`;

/** Removes what imports that were killed left beside the folder, and puts a data set back that one of them had moved aside. */
async function removeStale(folder: string): Promise<void> {
  const [parent, prefix] = [dirname(folder), prefixOf(folder)];
  for (const name of await readdir(parent)) {
    const pid = name.startsWith(prefix) ? /^(\d+)-/.exec(name.slice(prefix.length)) : null;
    if (pid === null || isRunning(Number(pid[1]))) continue;
    if (name.endsWith(OLD) && !(await exists(folder))) await rename(join(parent, name), folder);
    else await rm(join(parent, name), { recursive: true, force: true });
  }
}

async function swap(made: string, folder: string): Promise<void> {
  const aside = `${made}${OLD}`;
  const moved = await rename(folder, aside).then(
    () => true,
    (error: unknown) => (hasCode(error, "ENOENT") ? false : Promise.reject(error)),
  );
  try {
    await rename(made, folder);
  } catch (error) {
    if (moved) await rename(aside, folder).catch(() => undefined);
    throw error;
  }
  await rm(aside, { recursive: true, force: true });
}

const FOLDER_MODE = 0o777;

/**
 * Makes a folder whole or not at all: `fill` writes into a new one beside it, which then takes its place. A process that dies on
 * the way leaves the old folder as it was; the next call removes the rest.
 * @param fill gives false where the new folder is the same as the old one, which then stays.
 * @throws KingletError `bad-input` where the place is taken, or what `fill` throws.
 */
export async function replaceFolder(path: string, fill: (made: string) => Promise<boolean>): Promise<void> {
  const folder = resolve(path);
  await checkReplaceable(folder);
  const firstMade = await mkdir(dirname(folder), { recursive: true });
  await removeStale(folder);
  const made = await mkdtemp(join(dirname(folder), `${prefixOf(folder)}${process.pid}-`));
  try {
    await chmod(made, FOLDER_MODE & ~process.umask());
    const changed = await fill(made);
    if (!changed) return await rm(made, { recursive: true, force: true });
    await checkReplaceable(folder);
    await swap(made, folder);
  } catch (error) {
    await rm(made, { recursive: true, force: true });
    if (firstMade !== undefined) await rm(firstMade, { recursive: true, force: true });
    throw error;
  }
}
