import * as v from "valibot";
import { MOST_CLIENTS } from "../secure/index.ts";
import { finite, hex, Name, Time, whole } from "./check.ts";

/** A project is known by the first 16 hexadecimal digits of its public key's SHA-256 (`projectOf`). */
export const ProjectId = hex(8);
/** An Ed25519 public key. */
export const PublicKey = hex(32);

/** A token is known by this. */
export const TokenId = hex(16);

/** Lets so many clients enrol. */
const Enrolment = v.strictObject({ project: ProjectId, id: TokenId, uses: whole(1), expires: Time });
export type Enrolment = v.InferOutput<typeof Enrolment>;

/** How long a client may come with one credential; it gets another in good time. */
export const CREDENTIAL_MS: number = 365 * 24 * 3600 * 1000;

/** Says which client this is; with the nonce of its enrolment, so that in another store of the same project it is nobody. */
const Credential = v.strictObject({ project: ProjectId, client: whole(1), nonce: hex(16), expires: Time });
export type Credential = v.InferOutput<typeof Credential>;

/** Lets its holder see and steer the federation. */
const Admin = v.strictObject({ project: ProjectId, expires: Time });

/**
 * A version of the model: its `length` parameters, float32 little-endian, followed where `control` is set by as many numbers of the common
 * control variate. `sha256` is of all these bytes.
 */
const Manifest = v.strictObject({ project: ProjectId, version: whole(0), length: whole(1), control: v.boolean(), sha256: hex(32), time: Time });
export type Manifest = v.InferOutput<typeof Manifest>;

const positive = v.pipe(finite, v.gtValue(0));
const share = v.pipe(finite, v.minValue(0), v.maxValue(1));
const notNegative = v.pipe(finite, v.minValue(0));

const OptimizerSchema = v.variant("kind", [
  v.strictObject({
    kind: v.literal("sgd"),
    momentum: v.exactOptional(share),
    nesterov: v.exactOptional(v.boolean()),
    weightDecay: v.exactOptional(notNegative),
  }),
  v.strictObject({
    kind: v.literal("adam"),
    beta1: v.exactOptional(share),
    beta2: v.exactOptional(share),
    epsilon: v.exactOptional(positive),
    weightDecay: v.exactOptional(notNegative),
    decoupled: v.exactOptional(v.boolean()),
  }),
  v.strictObject({
    kind: v.literal("rmsprop"),
    decay: v.exactOptional(share),
    epsilon: v.exactOptional(positive),
    weightDecay: v.exactOptional(notNegative),
  }),
]);

const Channels = v.pipe(v.array(finite), v.maxLength(65_536));

/** `LocalTraining` as far as it is data; a client adds its augmentation by name. */
const Local = v.strictObject({
  optimizer: OptimizerSchema,
  epochs: whole(1),
  batchSize: whole(1),
  rate: positive,
  rateDecay: v.exactOptional(v.pipe(positive, v.maxValue(1))),
  clipNorm: v.exactOptional(positive),
  dropout: v.exactOptional(share),
  statisticsDecay: v.exactOptional(share),
  proximal: v.exactOptional(notNegative),
  normalization: v.exactOptional(v.strictObject({ mean: Channels, std: Channels })),
});

const CompressionSchema = v.variant("kind", [
  v.strictObject({ kind: v.literal("none") }),
  v.strictObject({ kind: v.literal("quantize"), bits: v.picklist([4, 8]) }),
  v.strictObject({ kind: v.literal("topK"), share: v.pipe(positive, v.maxValue(1)) }),
]);

/** `SecureRules`. */
const Secure = v.strictObject({
  threshold: v.pipe(finite, v.minValue(0.5), v.ltValue(1)),
  minimum: v.pipe(whole(2), v.maxValue(MOST_CLIENTS)),
  clip: positive,
  mostSamples: whole(1),
});

/** What a client must know to take part, beside the network itself. */
const Description = v.strictObject({
  project: ProjectId,
  name: Name,
  /** Of the protocol. */
  protocol: v.literal(1),
  /** Parameters that are learned, all as one vector. */
  length: whole(1),
  classes: v.pipe(v.array(Name), v.maxLength(10_000)),
  local: Local,
  /** Changes of samples by name, and how strong each is (`Augmentation` of a project). */
  augmentation: v.record(Name, finite),
  compression: CompressionSchema,
  /** Whether clients keep control variates (SCAFFOLD). */
  control: v.boolean(),
  /** Updates are added up so that the coordinator sees their sum alone. */
  secure: v.exactOptional(Secure),
  /** The `.kinglet` file with the network. */
  network: v.strictObject({ sha256: hex(32), bytes: whole(1) }),
});
export type Description = v.InferOutput<typeof Description>;

/** All that a project's key signs, by purpose: a signature for one purpose is none for another. */
export const CLAIMS = {
  enrolment: Enrolment,
  credential: Credential,
  admin: Admin,
  manifest: Manifest,
  description: Description,
} as const;

export type Purpose = keyof typeof CLAIMS;
export type Claims<P extends Purpose> = v.InferOutput<(typeof CLAIMS)[P]>;
