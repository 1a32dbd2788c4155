/** Runs of digits as numbers, and the text between them. */
function parts(name: string): (string | number)[] {
  return (name.match(/\d+|\D+/g) ?? []).map((part) => (/^\d/.test(part) ? Number(part) : part));
}

/** Where two names part: the first part of each that differs, undefined behind a name's end. */
function parting(a: string, b: string): readonly [string | number | undefined, string | number | undefined] {
  const [left, right] = [parts(a), parts(b)];
  const at = left.findIndex((part, i) => part !== right[i]);
  const place = at < 0 ? left.length : at;
  return [left[place], right[place]];
}

/** Whether two names part in a number, which then says what comes first: block.2.conv and block.10.conv. */
export function partInNumber(a: string, b: string): boolean {
  const [x, y] = parting(a, b);
  return typeof x === "number" && typeof y === "number";
}

/** Names in order, numbers by their size, a name before those that go on. */
export function naturalOrder(a: string, b: string): number {
  const [x, y] = parting(a, b);
  if (typeof x === "number" && typeof y === "number") return x - y;
  const [left, right] = [String(x ?? ""), String(y ?? "")];
  return left < right ? -1 : left > right ? 1 : 0;
}
