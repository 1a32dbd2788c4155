import { readdirSync, readFileSync } from "node:fs";
import { dirname, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const SOURCE = fileURLToPath(new URL("../src/", import.meta.url));

/**
 * The house, from the top: a room may import from the rows above its own, never from its own row. The last row
 * holds programs; "." is the package's door, `src/index.ts`.
 */
const ROWS: readonly (readonly string[])[] = [
  ["base"],
  ["graph", "loops"],
  ["ops"],
  ["formats", "passes", "plan", "fusion", "zoo", "signal"],
  ["data"],
  ["targets"],
  ["boards"],
  ["driver"],
  ["report", "train"],
  ["project", "federated"],
  ["cli", "demo", "."],
];

/** Every room with the rooms it may import. */
const ALLOWED: ReadonlyMap<string, readonly string[]> = new Map(
  ROWS.flatMap((row, i) => row.map((room): [string, string[]] => [room, ROWS.slice(0, i).flat()])),
);

/** Public doors beside `ROOM/index.ts`: targets is a building of small flats with a common hall, and some rooms have a part that needs no Node. */
const DOORS = new Set([
  "boards/browser.ts",
  "data/browser.ts",
  "driver/browser.ts",
  "federated/browser.ts",
  "formats/browser.ts",
  "train/browser.ts",
  "targets/c/index.ts",
  "targets/js/index.ts",
  "targets/wasm/index.ts",
  "targets/lower.ts",
  "targets/share.ts",
  "targets/zeros.ts",
]);

/** Tests and their helpers may use any room for checking, through its door or its own test helpers. */
const HELPER = /(^|\/)(test-[^/]*|[^/]*testing|tool-gate)\.ts$/;
const isTest = (file: string): boolean => file.endsWith(".test.ts") || HELPER.test(file);

interface Import {
  readonly file: string;
  readonly line: number;
  /** The imported file, from kinglet/src. */
  readonly target: string;
}

function posix(path: string): string {
  return path.split(sep).join("/");
}

function sourceFiles(): string[] {
  const all = readdirSync(SOURCE, { recursive: true }) as string[];
  return all.map(posix).filter((file) => file.endsWith(".ts"));
}

/** Room of a file under kinglet/src. */
function roomOf(file: string): string {
  return file.includes("/") ? file.slice(0, file.indexOf("/")) : ".";
}

/** Static and dynamic imports and re-exports of own files; a statement may span lines, its source never does. */
const SPECIFIER = /(?:^|[\s}*])(?:from|import)\s*\(?\s*"(\.[^"]+)"/g;

function importsOf(file: string): Import[] {
  const text = readFileSync(resolve(SOURCE, file), "utf8");
  return [...text.matchAll(SPECIFIER)].map((match) => {
    const line = text.slice(0, match.index + match[0].length).split("\n").length;
    return { file, line, target: posix(relative(SOURCE, resolve(SOURCE, dirname(file), match[1]!))) };
  });
}

/** What is wrong with an import, or null. */
function complaint({ file, line, target }: Import): string | null {
  const [from, to] = [roomOf(file), roomOf(target)];
  if (from === to && target !== "index.ts") return null;
  const where = `kinglet/src/${file}:${line} imports ${target}`;
  const allowed = ALLOWED.get(from);
  if (allowed === undefined) return `${where}: the room "${from}" is new; add it to its row in kinglet/test/rooms.test.ts`;
  if (!ALLOWED.has(to)) return `${where}: there is no room "${to}"`;
  if (!isTest(file) && !allowed.includes(to))
    return `${where}: ${from}/ may import only from ${allowed.join(", ") || "nothing"}; move what both need to a room above, or pass it in`;
  const door = target === `${to}/index.ts` || DOORS.has(target) || (isTest(file) && HELPER.test(target));
  return door ? null : `${where}: go through the door of the room, ${to}/index.ts, and export there what is missing`;
}

test("every import between rooms points up the house and goes through a door", () => {
  const files = sourceFiles();
  expect(files.length).toBeGreaterThan(100);
  const complaints = files
    .flatMap(importsOf)
    .map(complaint)
    .filter((text) => text !== null);
  expect(complaints, complaints.join("\n")).toEqual([]);
});

test("the rules see what they must see", () => {
  const at = (file: string, target: string): string | null => complaint({ file, line: 1, target });
  expect(at("plan/place.ts", "loops/index.ts")).toBeNull();
  expect(at("plan/place.test.ts", "driver/index.ts")).toBeNull();
  expect(at("driver/x.test.ts", "boards/tool-gate.ts")).toBeNull();
  expect(at("graph/check.ts", "loops/index.ts")).toContain("graph/ may import only from base");
  expect(at("plan/place.ts", "passes/index.ts")).toContain("plan/ may import only from");
  expect(at("plan/place.ts", "loops/expr.ts")).toContain("go through the door");
  expect(at("driver/execute.ts", "boards/tool-gate.ts")).toContain("go through the door");
  expect(at("attic/x.ts", "base/index.ts")).toContain("is new");
});
