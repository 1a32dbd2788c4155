import fc from "fast-check";
import { expect, test } from "vitest";
import { type Compression, compress } from "../compression.ts";
import {
  checkTime,
  type Claims,
  decodeUpdate,
  encodeUpdate,
  maskedWords,
  mostUpdateBytes,
  newProjectKeys,
  openSigned,
  projectOf,
  publicKeyOf,
  Refusal,
  type RefusalReason,
  sign,
  type UpdateForm,
  type UpdateFrame,
  updateNumbers,
} from "./index.ts";

const keys = newProjectKeys();
const project = projectOf(keys.publicKey);
const CREDENTIAL: Claims<"credential"> = { project, client: 7, nonce: "ab".repeat(16), expires: 1000 };

function reasonOf(act: () => unknown): RefusalReason | null {
  try {
    act();
    return null;
  } catch (error) {
    if (error instanceof Refusal) return error.reason;
    throw error;
  }
}

test("claims are what was signed, by this project, for this purpose", () => {
  const text = sign("credential", CREDENTIAL, keys.secretKey);
  expect(publicKeyOf(keys.secretKey)).toBe(keys.publicKey);
  expect(openSigned("credential", text, keys.publicKey)).toEqual(CREDENTIAL);
  const other = newProjectKeys();
  expect(reasonOf(() => openSigned("credential", text, other.publicKey))).toBe("wrong-project");
  expect(reasonOf(() => openSigned("credential", sign("credential", CREDENTIAL, other.secretKey), keys.publicKey))).toBe("unauthorized");
  const admin = sign("admin", { project, expires: 1000 }, keys.secretKey);
  expect(reasonOf(() => openSigned("credential", admin, keys.publicKey))).toBe("malformed");
  const manifest = { project, version: 1, length: 2, control: false, sha256: "00".repeat(32), time: 5 };
  const asAdmin = sign("manifest", manifest, keys.secretKey).split(".")[1]!;
  expect(
    reasonOf(() =>
      openSigned("manifest", `${sign("manifest", { ...manifest, version: 2 }, keys.secretKey).split(".")[0]}.${asAdmin}`, keys.publicKey),
    ),
  ).toBe("unauthorized");
  expect(reasonOf(() => checkTime(CREDENTIAL, 999, "credential"))).toBeNull();
  expect(reasonOf(() => checkTime(CREDENTIAL, 1000, "credential"))).toBe("expired");
});

test("no other text is a signed one", () => {
  const text = sign("credential", CREDENTIAL, keys.secretKey);
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.constantFrom(..."AZaz09-_.+ \u0000"), (at, letter) => {
      const changed = text.slice(0, at) + letter + text.slice(at + 1);
      const reason = reasonOf(() => openSigned("credential", changed, keys.publicKey));
      // The last letter of a part has bits that stand for nothing.
      if (changed !== text && reason === null) expect(openSigned("credential", changed, keys.publicKey)).toEqual(CREDENTIAL);
    }),
  );
  for (const nothing of ["", ".", "a.b", "a", "a.b.c", "e30.AAAA", `${"A".repeat(3e6)}.AAAA`])
    expect(["malformed", "unauthorized"]).toContain(reasonOf(() => openSigned("credential", nothing, keys.publicKey)));
});

const DELTA = Float32Array.from({ length: 37 }, (_, i) => Math.sin(i));
const FORMS: readonly Compression[] = [{ kind: "none" }, { kind: "quantize", bits: 8 }, { kind: "quantize", bits: 4 }, { kind: "topK", share: 0.2 }];

function example(compression: Compression, control: boolean): { form: UpdateForm; frame: UpdateFrame; bytes: Uint8Array; delta: Float32Array } {
  const sent = compress(DELTA, compression, [1]);
  const plain = new Uint8Array(DELTA.slice().buffer);
  const frame = { round: 3, version: 2, samples: 40, steps: 4, delta: sent.bytes, ...(control ? { control: plain } : {}) };
  return { form: { length: DELTA.length, coding: compression, control }, frame, bytes: encodeUpdate(frame, compression), delta: sent.update };
}

test.each(FORMS)("an update travels whole: %o", (compression) => {
  for (const control of [false, true]) {
    const { form, frame, bytes, delta } = example(compression, control);
    expect(bytes.length).toBe(mostUpdateBytes(form));
    const read = decodeUpdate(bytes, form);
    expect(read).toEqual(frame);
    expect(updateNumbers(read, form)).toEqual(control ? { delta, control: DELTA } : { delta });
    expect(reasonOf(() => decodeUpdate(bytes, { ...form, control: !control }))).toBe(control ? "oversized" : "malformed");
    expect(reasonOf(() => decodeUpdate(new Uint8Array(bytes.length + 1), form))).toBe("oversized");
    for (const other of FORMS) if (other !== compression) expect(reasonOf(() => decodeUpdate(bytes, { ...form, coding: other }))).not.toBeNull();
  }
});

test("an update that was changed anywhere is refused, and so is anything else", () => {
  const { form, bytes } = example({ kind: "quantize", bits: 8 }, false);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const changed = bytes.slice();
      changed[at]! ^= change;
      expect(reasonOf(() => decodeUpdate(changed, form))).toBe("malformed");
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: bytes.length }), (any) => {
      expect(reasonOf(() => decodeUpdate(any, form))).toBe("malformed");
    }),
  );
});

test("a masked update is any words of the right number, and tells nothing else", () => {
  const form: UpdateForm = { length: 3, coding: { kind: "masked" }, control: false };
  const words = Uint32Array.of(1, 2 ** 32 - 1, 0, 7);
  const frame = { round: 3, version: 2, samples: 0, steps: 0, delta: new Uint8Array(words.slice().buffer) };
  const encoded = (more: Partial<UpdateFrame> = {}): Uint8Array => encodeUpdate({ ...frame, ...more }, form.coding);
  expect(encoded()).toHaveLength(mostUpdateBytes(form));
  expect(maskedWords(decodeUpdate(encoded(), form))).toEqual(words);
  expect(reasonOf(() => decodeUpdate(encoded({ samples: 1 }), form))).toBe("malformed");
  expect(reasonOf(() => decodeUpdate(encoded({ steps: 1 }), form))).toBe("malformed");
  expect(reasonOf(() => decodeUpdate(encoded({ delta: frame.delta.subarray(4) }), form))).toBe("malformed");
  // Neither is taken for the other.
  for (const coding of FORMS) expect(reasonOf(() => decodeUpdate(encoded(), { ...form, length: 1000, coding }))).toBe("malformed");
  expect(reasonOf(() => decodeUpdate(encodeUpdate({ ...frame, samples: 1, steps: 1 }, { kind: "none" }), form))).toBe("malformed");
});

test("numbers that are none are refused", () => {
  const form: UpdateForm = { length: 2, coding: { kind: "none" }, control: false };
  const delta = new Uint8Array(Float32Array.of(1, Number.NaN).buffer);
  const bytes = encodeUpdate({ round: 1, version: 0, samples: 1, steps: 1, delta }, form.coding);
  expect(reasonOf(() => updateNumbers(decodeUpdate(bytes, form), form))).toBe("malformed");
});
