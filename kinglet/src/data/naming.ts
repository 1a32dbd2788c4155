import { KingletError } from "../base/index.ts";

/** Where a label or a group comes from. */
export type NameRule =
  /** The folder of the file; folders named train and test say the part and are passed over. */
  | { readonly from: "folder" }
  /** The `index`-th piece (from 1) of the file's name, cut at "_" and "."; "prefix" is the first. */
  | { readonly from: "piece"; readonly index: number }
  /** A column of a table. */
  | { readonly from: "column"; readonly column: string }
  /** What the file itself states: a label file, an array of labels, a field. */
  | { readonly from: "file" }
  /** All samples alike. */
  | { readonly from: "none" };

/** Every way to write a rule, for messages. */
export const RULES = "folder, prefix, part:N (the N-th piece of the file's name, cut at _ and .), column:NAME, file or none";

/** Reads "folder", "prefix", "part:2", "column:NAME", "file" or "none". @throws KingletError `misuse`. */
export function parseNameRule(text: string): NameRule {
  if (text === "folder" || text === "file" || text === "none") return { from: text };
  if (text === "prefix") return { from: "piece", index: 1 };
  const piece = /^part:(\d{1,3})$/.exec(text);
  if (piece !== null && Number(piece[1]) > 0) return { from: "piece", index: Number(piece[1]) };
  const column = /^column:(.+)$/s.exec(text);
  if (column !== null) return { from: "column", column: column[1]! };
  throw new KingletError("misuse", `"${text.slice(0, 60)}" is no way to find a name`, { hint: `Possible are ${RULES}.` });
}

const PARTS: Readonly<Record<string, "train" | "test">> = { train: "train", training: "train", test: "test", testing: "test" };

const foldersOf = (path: string): string[] => path.split("/").slice(0, -1);

/** The part that a folder of the path names. */
export function partOfPath(path: string): "train" | "test" | undefined {
  return foldersOf(path)
    .map((folder) => PARTS[folder.toLowerCase()])
    .findLast((part) => part !== undefined);
}

function folderOf(path: string): string | undefined {
  return foldersOf(path).findLast((folder) => PARTS[folder.toLowerCase()] === undefined);
}

const ENDING = /\.(wav|csv|tsv|txt|png|jpe?g|npy|npz|bin|json|cbor|idx\d)$/i;

function pieceOf(path: string, index: number): string | undefined {
  const base = path.slice(path.lastIndexOf("/") + 1).replace(/\.gz$/i, "");
  return base.replace(ENDING, "").split(/[_.]/)[index - 1];
}

/** What the rule finds in a path (of a file, or of an array inside one); undefined where it finds nothing. */
export function nameFromPath(rule: NameRule, path: string): string | undefined {
  if (rule.from === "folder") return folderOf(path);
  return rule.from === "piece" ? pieceOf(path, rule.index) || undefined : undefined;
}

/** Which rule fits files that state no label: folders where there are several, else the beginning of the names. */
export function usualRule(paths: readonly string[]): NameRule {
  return new Set(paths.map(folderOf)).size > 1 ? { from: "folder" } : { from: "piece", index: 1 };
}
