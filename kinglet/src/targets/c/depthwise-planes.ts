import type { Buffer, Expr, KernelBuilder } from "../../loops/index.ts";
import { intrinsic, loadWord } from "../../loops/index.ts";

/** Rows of a few channels, each channel a plane of its own, as words of two 16-bit inputs less their zero point, with a border of zeros. */
export interface Planes {
  readonly buffer: Buffer;
  /** Channels that are widened together: 1 or 4. */
  readonly channels: 1 | 4;
  /** Words of a row and of a plane. */
  readonly pitch: Expr;
  readonly planeWords: Expr;
  /** The words of all planes. */
  readonly words: Expr;
  /** The zero point as the border's input (of four channels: in all bytes), and less it in both halves of a word. */
  readonly zeroBytes: Expr;
  readonly offsetPair: Expr;
}

/** Where a row's inputs go in its words: the left padding comes first, so an odd one shifts all pairs by a half. */
export interface RowPlace {
  readonly firstWord: number;
  /** The first input shares its word with the border; so may the last. */
  readonly lead: boolean;
  readonly pairs: number;
  readonly tail: boolean;
}

/** Rows of so few pairs are written out: a loop costs as much to start. */
const WRITTEN_OUT = 3;

export function rowPlace(width: number, padLeft: number): RowPlace {
  const lead = padLeft % 2 === 1;
  const rest = width - (lead ? 1 : 0);
  return { firstWord: padLeft >> 1, lead, pairs: rest >> 1, tail: rest % 2 === 1 };
}

/** All words are border: what no input is ever written to stays so. */
export function fillBorder(k: KernelBuilder, planes: Planes, from: Expr, count: Expr): void {
  k.for("i", 0, count, (i) => planes.buffer.store(from.add(i), 0));
}

/** One input of each channel; undefined is the border. */
function inputAt(k: KernelBuilder, planes: Planes, input: Buffer, at: Expr | undefined, name: string): Expr {
  if (at === undefined) return planes.zeroBytes;
  return k.let(name, planes.channels === 4 ? loadWord(input, at) : input.load(at));
}

/** Writes two neighbouring inputs of each channel to word `to` of its plane. */
function storePair(k: KernelBuilder, planes: Planes, input: Buffer, left: Expr | undefined, right: Expr | undefined, to: Expr): void {
  const [a, b] = [inputAt(k, planes, input, left, "left"), inputAt(k, planes, input, right, "right")];
  if (planes.channels === 1) return planes.buffer.store(to, intrinsic("sadd16", intrinsic("pkhbt", a, b), planes.offsetPair));
  const low = k.let("low", intrinsic("pkhbt", a, b));
  const high = k.let("high", intrinsic("pkhtb", a, b));
  [low, high].forEach((bytes, half) => {
    planes.buffer.store(to.add(planes.planeWords.mul(2 * half)), intrinsic("sxtab16", bytes, planes.offsetPair));
    planes.buffer.store(to.add(planes.planeWords.mul(2 * half + 1)), intrinsic("sxtab16High", bytes, planes.offsetPair));
  });
}

/** Widens a row of `place` from input element `from`, whose pixels lie `step` apart, to the row that starts at word `row`. */
export function widenRow(k: KernelBuilder, planes: Planes, input: Buffer, place: RowPlace, from: Expr, step: Expr, row: Expr, unroll: boolean): void {
  const first = k.let("first", row.add(place.firstWord));
  const lead = place.lead ? 1 : 0;
  if (place.lead) storePair(k, planes, input, undefined, from, first);
  const pair = (i: Expr): void => {
    const at = k.let("at", from.add(step.mul(i.mul(2).add(lead))));
    storePair(k, planes, input, at, at.add(step), first.add(i).add(lead));
  };
  const turn = unroll ? 2 : 1;
  const looped = place.pairs <= WRITTEN_OUT ? 0 : place.pairs - (place.pairs % turn);
  const body = (i: Expr): void => {
    for (let j = 0; j < turn; j++) pair(i.add(j));
  };
  if (looped > 0) k.for("i", 0, k.int("pairs", looped), body, turn);
  for (let i = looped; i < place.pairs; i++) pair(k.int("pairs", looped).add(i - looped));
  if (!place.tail) return;
  const pixel = k.int("last_pixel", 2 * place.pairs + lead);
  storePair(k, planes, input, k.let("at", from.add(step.mul(pixel))), undefined, first.add(k.int("last_word", place.pairs + lead)));
}

/** Moves the last `count` rows of a plane to its start. */
export function carryRows(k: KernelBuilder, planes: Planes, rows: Expr, count: Expr): void {
  const kept = k.let("kept", count.mul(planes.pitch));
  k.for("plane", 0, planes.channels, (plane) => {
    const to = k.let("plane_at", plane.mul(planes.planeWords));
    const from = k.let("last_rows", to.add(rows.sub(count).mul(planes.pitch)));
    k.for("i", 0, kept, (i) => planes.buffer.store(to.add(i), planes.buffer.load(from.add(i))));
  });
}
