// What each page does in federation.test.ts.
import { join, pageStore, type Participation } from "../src/federated/browser.ts";
import { type FederationMember, membersSamples } from "./federation-data.ts";

/** A page takes part with its own samples. */
export async function joinHere(url: string, token: string, member: FederationMember): Promise<Participation> {
  return await join(url, { token, data: membersSamples(member), memoryLimit: 2 ** 20, store: pageStore(token) });
}

/** What a page's store gives back of what a store before it has saved. */
export async function keptHere(): Promise<(readonly number[] | null)[]> {
  await pageStore("kept").save("memory", Uint8Array.of(1, 2));
  await pageStore("kept").save("memory", Uint8Array.of(3));
  const again = pageStore("kept");
  return [await again.load("memory"), await again.load("identity"), await pageStore("another").load("memory")].map((bytes) => bytes && [...bytes]);
}
