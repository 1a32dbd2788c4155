import { KingletError } from "../base/index.ts";

const isInteger = (text: string): boolean => /^-?\d{1,15}$/.test(text);

/** Numbers by value, other names by their letters' codes: the same order on every machine. */
export function sortNames(names: Iterable<string>): string[] {
  const unique = [...new Set(names)];
  if (unique.every(isInteger)) return unique.sort((a, b) => Number(a) - Number(b));
  return unique.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

export interface Classes {
  readonly names: readonly string[];
  /** The class of a label as files state it. */
  indexOf(label: string): number;
}

/**
 * Classes from the labels found. With `wanted`, a list of names in the order of the classes, labels are names of it or positions in it.
 * @throws KingletError `bad-input` for a label outside the list.
 */
export function classesOf(labels: Iterable<string>, wanted: readonly string[] | undefined): Classes {
  const found = sortNames(labels);
  const names = wanted ?? found;
  const positions = new Map(names.map((name, i) => [name, i]));
  const indexOf = (label: string): number => {
    const at = positions.get(label) ?? (isInteger(label) && wanted !== undefined && Number(label) < names.length ? Number(label) : -1);
    if (at < 0)
      throw new KingletError("bad-input", `the label "${label.slice(0, 60)}" is not in the list of ${names.length} classes`, {
        hint: `Labels found: ${found.slice(0, 20).join(", ")}${found.length > 20 ? ", …" : ""}.`,
      });
    return at;
  };
  found.forEach(indexOf);
  return { names, indexOf };
}
