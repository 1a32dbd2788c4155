const KIBI = 1024;

/** 12345 → "12,345". */
export function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** Rounded to three digits with a binary unit: 22016 → "21.5 KiB". */
export function bytesShort(bytes: number): string {
  if (Math.abs(bytes) < KIBI) return `${bytes} B`;
  const [value, unit] = Math.abs(bytes) < KIBI * KIBI ? [bytes / KIBI, "KiB"] : [bytes / KIBI / KIBI, "MiB"];
  const digits = Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0;
  return `${Number(value.toFixed(digits))} ${unit}`;
}

/** 2700000 → "2.7 M". */
export function countShort(value: number): string {
  const steps: [number, string][] = [
    [1e9, " G"],
    [1e6, " M"],
    [1e3, " k"],
  ];
  const found = steps.find(([unit]) => value >= unit);
  return found === undefined ? String(value) : `${Number((value / found[0]).toPrecision(3))}${found[1]}`;
}

/** Never "100 %" of less than everything, never "0 %" of something. */
export function percent(part: number, whole: number): string {
  if (whole <= 0 || part <= 0) return "–";
  const value = (100 * part) / whole;
  if (value < 0.1) return "<0.1 %";
  return value < 10 ? `${value.toFixed(1)} %` : `${part < whole ? Math.min(99, Math.round(value)) : 100} %`;
}

/** How much of what a layer took its ideal would have taken; above 100 % where a kernel is cleverer than the reasoning. */
export function idealShare(layer: { readonly instructions?: number; readonly idealInstructions?: number }): string {
  const { instructions, idealInstructions } = layer;
  if (instructions === undefined || idealInstructions === undefined || instructions === 0) return "–";
  return `${Math.round((100 * idealInstructions) / instructions)} %`;
}

export function shapeOf(shape: readonly number[]): string {
  return shape.length === 0 ? "scalar" : shape.join(" × ");
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** Control characters, and marks that reorder or hide text: a name from a file must not steer a terminal or a page. */
const UNSAFE =
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** Text from a file, harmless on a terminal and of bounded length. */
export function plain(text: string, most = 160): string {
  // Cut before anything else looks at it: a name may be megabytes long.
  const clean = text.slice(0, most * 2 + 2).replace(UNSAFE, "\ufffd");
  const letters = Array.from(clean);
  return letters.length > most ? `${letters.slice(0, most - 1).join("")}…` : clean;
}

/** What a stored integer means. */
export function quantizationText({ scale, zeroPoint }: { readonly scale: number; readonly zeroPoint: number }): string {
  const offset = zeroPoint === 0 ? "stored" : `(stored ${zeroPoint < 0 ? "+" : "−"} ${Math.abs(zeroPoint)})`;
  return `real = ${Number(scale.toPrecision(7))} × ${offset}`;
}

/** A sentence in lines of at most `width` columns; lines after the first are indented. A longer word has its own line. */
export function wrapText(text: string, indent = "  ", width = 80): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line.trim() !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = indent + word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].join("\n");
}
