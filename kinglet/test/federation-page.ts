// What each page does in federation.test.ts.
import { join, type Participation } from "../src/federated/browser.ts";
import { type FederationMember, membersSamples } from "./federation-data.ts";

/** A page takes part with its own samples. */
export async function joinHere(url: string, token: string, member: FederationMember): Promise<Participation> {
  return await join(url, { token, data: membersSamples(member), memoryLimit: 2 ** 20 });
}
