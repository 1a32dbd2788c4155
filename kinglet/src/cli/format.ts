import { count } from "../report/index.ts";

export { count, plain, plural, wrapText } from "../report/index.ts";

export function bytes(value: number): string {
  return `${count(value)} bytes`;
}

/** Names in lines of at most 80 columns, indented. */
export function wrapped(words: readonly string[], indent: string, width = 80): string {
  const lines: string[] = [];
  let line = indent;
  words.forEach((word, i) => {
    const piece = i === words.length - 1 ? word : `${word}, `;
    if (line.length + piece.trimEnd().length > width && line !== indent) {
      lines.push(line.trimEnd());
      line = indent;
    }
    line += piece;
  });
  return [...lines, line].join("\n");
}
