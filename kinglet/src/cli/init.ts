import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { type Command, Option } from "commander";
import { KingletError } from "../base/index.ts";
import { KINDS, type ProjectKind, projectFiles } from "../project/index.ts";
import { plain } from "./format.ts";
import { answer, type CommonOptions, type Io } from "./io.ts";

interface InitOptions extends CommonOptions {
  readonly from: ProjectKind;
}

async function checkFree(folder: string): Promise<void> {
  const there = await readdir(folder).catch((error: NodeJS.ErrnoException) => (error.code === "ENOENT" ? [] : Promise.reject(error)));
  if (there.length > 0) throw new KingletError("bad-input", "the folder is not empty", { place: folder, hint: "Name a new one." });
}

/** The folder comes whole: made beside its place, then moved there. */
async function writeProject(folder: string, files: ReadonlyMap<string, string>): Promise<void> {
  const made = await mkdir(dirname(folder), { recursive: true });
  const draft = await mkdtemp(join(dirname(folder), `.${basename(folder)}-`));
  try {
    const inner = join(draft, "project");
    await mkdir(inner);
    for (const [name, text] of files) await writeFile(join(inner, name), text);
    await rename(inner, folder);
  } catch (error) {
    if (made !== undefined) await rm(made, { recursive: true, force: true });
    throw error;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function init(name: string, options: InitOptions, io: Io): Promise<void> {
  const folder = resolve(io.folder ?? ".", name);
  await checkFree(folder);
  const files = projectFiles(basename(folder), options.from);
  await writeProject(folder, files);
  const next = `Next: cd ${plain(name)}, kinglet data import FILES, kinglet train. README.md tells the rest.`;
  answer(io, options, { folder, from: options.from, files: [...files.keys()] }, () =>
    [`${plain(name)} is a project for ${options.from}:`, ...[...files.keys()].map((file) => `  ${file}`), "", next].join("\n"),
  );
}

export function addInit(program: Command, io: Io): void {
  program
    .command("init")
    .description("Makes a project folder: one readable configuration from data to firmware.")
    .argument("<name>", "the folder to make")
    .addOption(new Option("--from <kind>", "what the data is").choices(KINDS).makeOptionMandatory())
    .option("--json", "one JSON document on stdout")
    .addHelpText("after", "\nExample:\n  kinglet init my-wand --from motion")
    .action((name: string, options: InitOptions) => init(name, options, io));
}
