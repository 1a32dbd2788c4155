import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, readFile, realpath, rename, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve, sep } from "node:path";
import { KingletError } from "../base/index.ts";

/** Files of an output folder by their path below it. */
export type OutputFiles = ReadonlyMap<string, string | Uint8Array>;

/** Lists what Kinglet wrote, so that a later run knows what it may replace. */
export const MARKER = "kinglet.json";

interface Marker {
  readonly madeBy: "kinglet";
  readonly files: Readonly<Record<string, string>>;
}

function digest(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

function markerText(files: OutputFiles): string {
  const marker: Marker = { madeBy: "kinglet", files: Object.fromEntries([...files].map(([name, content]) => [name, digest(content)])) };
  return `${JSON.stringify(marker, null, 2)}\n`;
}

function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && codes.includes((error as NodeJS.ErrnoException).code ?? "");
}

function refuse(folder: string, message: string): never {
  throw new KingletError("bad-input", message, {
    place: folder,
    hint: "Choose another folder with --out, or move what is in it (`make clean` removes what make built).",
  });
}

async function readMarker(folder: string): Promise<Marker | null> {
  try {
    const marker = JSON.parse(await readFile(join(folder, MARKER), "utf8")) as Partial<Marker> | null;
    return marker?.madeBy === "kinglet" && typeof marker.files === "object" && marker.files !== null ? (marker as Marker) : null;
  } catch (error) {
    if (hasCode(error, "ENOENT", "EISDIR") || error instanceof SyntaxError) return null;
    throw error;
  }
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(folder.length + 1)
        .split(sep)
        .join("/"),
    );
}

/** Refuses a folder with anything in it that Kinglet did not write, or that was changed since. */
async function checkReplaceable(folder: string): Promise<void> {
  const info = await stat(folder).catch((error: unknown) => (hasCode(error, "ENOENT") ? null : Promise.reject(error)));
  if (info === null) return;
  if (!info.isDirectory()) refuse(folder, "this is a file, and the output needs a folder");
  if ((await readdir(folder)).length === 0) return;
  const marker = await readMarker(folder);
  if (marker === null) return refuse(folder, "the folder is not empty, and Kinglet did not make it");
  for (const name of await filesBelow(folder)) {
    if (name === MARKER) continue;
    const known = marker.files[name];
    if (known === undefined) refuse(folder, `the folder holds "${name}", which Kinglet did not write`);
    if (known !== digest(await readFile(join(folder, name)))) refuse(folder, `"${name}" was changed since Kinglet wrote it`);
  }
}

/** Puts `made` where `folder` is; what was there goes aside first and comes back if that fails. */
async function swap(made: string, folder: string): Promise<void> {
  const aside = `${made}-old`;
  let moved = false;
  try {
    await rmdir(folder); // succeeds only where it is empty
  } catch (error) {
    if (!hasCode(error, "ENOENT")) {
      await rename(folder, aside);
      moved = true;
    }
  }
  try {
    await rename(made, folder);
  } catch (error) {
    if (moved) await rename(aside, folder).catch(() => undefined);
    throw error;
  }
  await rm(aside, { recursive: true, force: true });
}

/** Another run may have put its folder there in between: look again, then take its place whole. */
const ATTEMPTS = 5;

async function place(made: string, folder: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    await checkReplaceable(folder);
    try {
      return await swap(made, folder);
    } catch (error) {
      if (attempt === ATTEMPTS || !hasCode(error, "ENOTEMPTY", "EEXIST", "ENOENT")) throw error;
    }
  }
}

/** A temporary folder is its owner's alone; the output gets what mkdir would have given it. */
const FOLDER_MODE = 0o777;

async function writeAll(folder: string, files: OutputFiles): Promise<void> {
  for (const [name, content] of files) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  await writeFile(join(folder, MARKER), markerText(files));
}

/**
 * Refuses an output folder before any work is done for it.
 * @throws KingletError `bad-input` that says what is in the way.
 */
export async function checkOutputFolder(path: string): Promise<void> {
  await checkReplaceable(resolve(path));
}

/**
 * Writes a folder whole or not at all: into a folder beside it, which then takes its place. A folder that Kinglet
 * made and nobody changed is replaced; any other that is not empty is refused. Gives the names written.
 * @throws KingletError `bad-input`, or the file system's error.
 */
export async function writeOutputFolder(path: string, files: OutputFiles): Promise<string[]> {
  const wanted = resolve(path);
  await checkReplaceable(wanted);
  const folder = await realpath(wanted).catch(() => wanted);
  const firstMade = await mkdir(dirname(folder), { recursive: true });
  const made = await mkdtemp(join(dirname(folder), `.${basename(folder)}.kinglet-`));
  try {
    await chmod(made, FOLDER_MODE & ~process.umask());
    await writeAll(made, files);
    await place(made, folder);
  } catch (error) {
    await rm(made, { recursive: true, force: true });
    if (firstMade !== undefined) await rm(firstMade, { recursive: true, force: true });
    throw error;
  }
  return [...files.keys(), MARKER];
}
