import { readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { KingletError } from "../base/index.ts";
import { isDataFile, isZip, KNOWN_FORMATS, readZip, type ZipMember } from "./readers/index.ts";

/** One file to import: on disk, or inside a zip. */
export interface SourceFile {
  /** Path from the imported folder or zip on, with "/": it names label and group, and does not depend on the machine. */
  readonly name: string;
  readonly part?: "test";
  /** The file on disk that it is, or lies in. */
  readonly origin: string;
  read(): Promise<Uint8Array>;
  /** A file of that name in the same folder, or null. */
  sibling(baseName: string): Promise<Uint8Array | null>;
}

export interface SourceList {
  readonly files: readonly SourceFile[];
  /** Files that hold no samples by their name. */
  readonly ignored: number;
}

/** Holds the last zip file that was read, so that its members do not read it again and many zips are not all held. */
class ZipShelf {
  private path = "";
  private members = new Map<string, ZipMember>();

  async open(path: string): Promise<ReadonlyMap<string, ZipMember>> {
    if (this.path !== path) {
      const members = readZip(new Uint8Array(await readFile(path)), basename(path));
      this.members = new Map(members.map((member) => [member.name, member]));
      this.path = path;
    }
    return this.members;
  }
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => relative(folder, join(entry.parentPath, entry.name)));
  return paths.map((path) => path.split(sep).join("/")).sort(byText);
}

async function readIfThere(path: string): Promise<Uint8Array | null> {
  try {
    return new Uint8Array(await readFile(path));
  } catch {
    return null;
  }
}

function onDisk(path: string, name: string): SourceFile {
  return {
    name,
    origin: resolve(path),
    read: async () => new Uint8Array(await readFile(path)),
    sibling: (base) => readIfThere(join(dirname(path), base)),
  };
}

function memberOf(shelf: ZipShelf, path: string, inner: string, name: string): SourceFile {
  const get = async (wanted: string): Promise<Uint8Array | null> => (await shelf.open(path)).get(wanted)?.read() ?? null;
  return {
    name,
    origin: resolve(path),
    read: async () => (await get(inner)) ?? new Uint8Array(0),
    sibling: (base) => get(inner.slice(0, inner.lastIndexOf("/") + 1) + base),
  };
}

async function filesOfZip(shelf: ZipShelf, path: string, name: string): Promise<SourceFile[]> {
  const members = await shelf.open(path);
  return [...members.keys()].sort(byText).map((inner) => memberOf(shelf, path, inner, `${name.replace(/\.zip$/i, "")}/${inner}`));
}

async function startsAsZip(path: string): Promise<boolean> {
  return /\.zip$/i.test(path) || (!isDataFile(path) && isZip(new Uint8Array(await readFile(path))));
}

async function filesOfPath(shelf: ZipShelf, path: string): Promise<{ files: SourceFile[]; ignored: number }> {
  const base = basename(resolve(path));
  if (!(await stat(path)).isDirectory()) {
    if (await startsAsZip(path)) return keepData(await filesOfZip(shelf, path, base));
    if (isDataFile(base)) return { files: [onDisk(path, base)], ignored: 0 };
    throw new KingletError("bad-input", "Kinglet does not read data of this format", { place: path, hint: `It reads ${KNOWN_FORMATS}.` });
  }
  const found: SourceFile[] = [];
  for (const inner of await filesBelow(path)) {
    const [full, name] = [join(path, inner), `${base}/${inner}`];
    found.push(...(/\.zip$/i.test(inner) ? await filesOfZip(shelf, full, name) : [onDisk(full, name)]));
  }
  return keepData(found);
}

function keepData(files: readonly SourceFile[]): { files: SourceFile[]; ignored: number } {
  const kept = files.filter((file) => isDataFile(file.name));
  return { files: kept, ignored: files.length - kept.length };
}

/** "*" stands for any text; without one, the pattern may stand anywhere in the path. */
export function matches(pattern: string, name: string): boolean {
  if (!pattern.includes("*")) return name.includes(pattern);
  const escaped = pattern.split("*").map((piece) => piece.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${escaped.join(".*")}$`, "s").test(name);
}

function isWithin(path: string, folder: string): boolean {
  const top = resolve(folder);
  return path === top || path.startsWith(top + sep);
}

/**
 * The files with samples under some paths, in an order that does not depend on the file system. Zip files are looked into, also
 * inside folders.
 * @throws KingletError `bad-input` for a file of an unknown format or a damaged zip; the file system's error for a missing path.
 */
export async function listSources(paths: readonly string[], testPaths: readonly string[]): Promise<SourceList> {
  const shelf = new ZipShelf();
  const files: SourceFile[] = [];
  let ignored = 0;
  for (const [list, part] of [
    [paths, {}],
    [testPaths, { part: "test" as const }],
  ] as const) {
    for (const path of list) {
      const found = await filesOfPath(shelf, path);
      // What is named for the test is not learned from, also where it lies in a folder that is.
      const kept = "part" in part ? found.files : found.files.filter(({ origin }) => !testPaths.some((test) => isWithin(origin, test)));
      for (const file of kept) files.push({ ...file, ...part });
      ignored += found.ignored;
    }
  }
  if (files.length === 0)
    throw new KingletError("bad-input", "no file with samples was found", { place: paths.join(", "), hint: `Kinglet reads ${KNOWN_FORMATS}.` });
  return { files, ignored };
}
