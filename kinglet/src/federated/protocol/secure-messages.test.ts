import * as v from "valibot";
import { expect, test } from "vitest";
import { SecureClient, SecureCoordinator } from "../secure/index.ts";
import {
  advertisementOf,
  checkedJson,
  GroupAnswer,
  KeysMessage,
  keysMessage,
  MOST_SECURE_BYTES,
  RevelationMessage,
  revelationMessage,
  revelationOf,
  sealedSharesOf,
  SharesAnswer,
  SharesMessage,
  sharesMessage,
} from "./index.ts";

/** As it arrives. */
const sent = <const S extends v.GenericSchema>(schema: S, message: object): v.InferOutput<S> => checkedJson(schema, JSON.stringify(message), "it");

test("what the steps of a round say travels whole", async () => {
  const [a, b, c] = [1, 2, 3].map((client) => new SecureClient(client, 5)) as [SecureClient, SecureClient, SecureClient];
  const all = [a, b, c];
  const group = all.map((client) => advertisementOf(client.client, sent(KeysMessage, keysMessage(client.advertise()))));
  expect(sent(GroupAnswer, { round: 5, group: group.map((each) => ({ client: each.client, ...keysMessage(each) })) }).group).toHaveLength(3);
  const shares = await Promise.all(
    all.map(async (client) =>
      sent(SharesMessage, sharesMessage(await client.share(group, 2))).shares.map((each) => ({ from: client.client, ...each })),
    ),
  );
  const coordinator = new SecureCoordinator(5, 2, 1);
  coordinator.gather(group);
  coordinator.goOnWith([1, 2, 3]);
  // The third drops out.
  for (const client of [a, b]) {
    const forIt = shares.flat().filter(({ to }) => to === client.client);
    const answer = sent(SharesAnswer, { round: 5, shares: forIt.map(({ from, sealed }) => ({ from, sealed })) });
    coordinator.add(client.mask(Uint32Array.of(20 * client.client), sealedSharesOf(client.client, answer)));
  }
  const revelations = [a, b].map((client) => revelationOf(client.client, sent(RevelationMessage, revelationMessage(client.reveal([1, 2])))));
  expect(revelations[0]!.seedShares.size + revelations[0]!.keyShares.size).toBe(3);
  expect(await coordinator.sum(revelations)).toEqual(Uint32Array.of(60));
});

test("messages of the largest group are within their limit, and of a larger one none", () => {
  const sealed = "ab".repeat(106);
  const shares = (count: number): object => ({ shares: Array.from({ length: count }, (_, i) => ({ to: 4_294_967_295 - i, sealed })) });
  expect(v.is(SharesMessage, shares(255))).toBe(true);
  expect(JSON.stringify(shares(255)).length).toBeLessThan(MOST_SECURE_BYTES);
  expect(v.is(SharesMessage, shares(256))).toBe(false);
  for (const wrong of [sealed.slice(2), sealed.toUpperCase(), `${sealed}00`])
    expect(v.is(SharesMessage, { shares: [{ to: 1, sealed: wrong }] })).toBe(false);
  const keys = { channelKey: "00".repeat(32), maskKey: "11".repeat(32) };
  expect(v.is(KeysMessage, keys)).toBe(true);
  expect(v.is(KeysMessage, { ...keys, more: 1 })).toBe(false);
});
