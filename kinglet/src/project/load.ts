import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { tsImport } from "tsx/esm/api";
import { KingletError } from "../base/index.ts";
import { checkConfig, CONFIG_FILE, type ProjectConfig } from "./config.ts";

/** A folder whose package says nothing of modules is CommonJS, which wraps the default export once more. */
function defaultExport(module: Readonly<Record<string, unknown>>): unknown {
  const outer = module["default"];
  const inner = typeof outer === "object" && outer !== null ? (outer as Readonly<Record<string, unknown>>)["default"] : undefined;
  return inner ?? outer;
}

/** Whether a folder is a project. */
export async function isProject(folder: string): Promise<boolean> {
  return await stat(join(folder, CONFIG_FILE)).then(
    (info) => info.isFile(),
    () => false,
  );
}

/**
 * Reads and checks the configuration of a project.
 * @throws KingletError `bad-input` where there is none, it cannot be run, or a field is wrong.
 */
export async function loadConfig(folder: string): Promise<ProjectConfig> {
  const path = join(folder, CONFIG_FILE);
  if (!(await isProject(folder)))
    throw new KingletError("bad-input", `there is no ${CONFIG_FILE} here`, {
      place: folder,
      hint: "Make a project with kinglet init NAME --from motion.",
    });
  let module: Readonly<Record<string, unknown>>;
  try {
    module = (await tsImport(pathToFileURL(resolve(path)).href, import.meta.url)) as Readonly<Record<string, unknown>>;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const [first = "", second = ""] = text.split("\n");
    throw new KingletError("bad-input", `the file cannot be run: ${second !== "" && first.startsWith("Transform failed") ? second : first}`, {
      place: path,
    });
  }
  return checkConfig(defaultExport(module), path);
}
