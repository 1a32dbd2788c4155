import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const SKIPPED = new Set(["node_modules", ".git", "out", "coverage", "kinglet-demo", ".kinglet"]);
const BINARY = /\.(png|ico|wasm|bin|npy|tflite|elf|o)$/;

/** Written in pieces, so that this file does not hold them itself. The lock file names hosts where npm put them there. */
const FORBIDDEN = [
  { word: ["", "work", ""].join("/"), why: "is a path of somebody's machine" },
  { word: ["registry", "npmjs", "org"].join("."), why: "pins the registry; people choose their own" },
  { word: ["registry", "yarnpkg", "com"].join("."), why: "pins the registry; people choose their own" },
  { word: ["pypi", "org"].join("."), why: "names a registry that Kinglet has no use for" },
];

function* filesBelow(folder: string): Iterable<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (SKIPPED.has(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else if (entry.isFile() && !BINARY.test(entry.name)) yield path;
  }
}

test("no file names a machine's path or a package registry", () => {
  const found: string[] = [];
  for (const path of filesBelow(ROOT)) {
    const text = readFileSync(path, "utf8");
    for (const { word, why } of FORBIDDEN) {
      const at = text.indexOf(word);
      if (at >= 0) found.push(`${relative(ROOT, path)}:${text.slice(0, at).split("\n").length} has "${word}", which ${why}`);
    }
  }
  expect(found, found.join("\n")).toEqual([]);
});
