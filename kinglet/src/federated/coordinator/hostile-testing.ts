import { expect } from "vitest";
import type { Xorshift32 } from "../../base/index.ts";
import type { Running } from "./coordinator-testing.ts";

/** A message that a coordinator must refuse. */
export interface Attack {
  readonly path: string;
  readonly init: RequestInit;
}

/** Something that a client says in a round. */
export function said(path: string, token: string, body: string | Uint8Array): Attack {
  const headers = { authorization: `Bearer ${token}` };
  return { path: `/v1/rounds/${path}`, init: { method: "POST", body: typeof body === "string" ? body : new Uint8Array(body), headers } };
}

export function noise(random: Xorshift32, count: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: count }, () => random.int(0, 255));
}

/** With one bit that is another. */
export function flipped(good: Uint8Array, random: Xorshift32): Uint8Array<ArrayBuffer> {
  const other = new Uint8Array(good);
  other[random.int(0, good.length - 1)]! ^= 1 << random.int(0, 7);
  return other;
}

/** The statuses of what is answered to attacks, all at once; each has to be refused in words. */
export async function refused({ url }: Running, attacks: readonly Attack[]): Promise<number[]> {
  const answers = await Promise.all(attacks.map(({ path, init }) => fetch(`${url}${path}`, init)));
  for (const answer of answers)
    expect(await answer.json(), answer.url).toMatchObject({ error: { code: expect.anything(), message: expect.stringMatching(/./) } });
  return answers.map(({ status }) => status);
}
