import { type Option, Schema } from "effect"

/** The envelope as its canonical text spells it (DEC-04): every fact of an event, under the keys that are hashed. */
export const EnvelopeText = Schema.Struct({
  agent: Schema.String,
  at: Schema.String,
  chain: Schema.String,
  id: Schema.String,
  inputHash: Schema.NullOr(Schema.String),
  keyId: Schema.String,
  kind: Schema.String,
  metadata: Schema.Json,
  model: Schema.NullOr(Schema.String),
  outputHash: Schema.NullOr(Schema.String),
  parent: Schema.NullOr(Schema.String),
  prev: Schema.NullOr(Schema.String),
  seq: Schema.Finite,
  session: Schema.NullOr(Schema.String),
  signer: Schema.NullOr(Schema.String),
  v: Schema.Literal(1)
})
export type EnvelopeText = typeof EnvelopeText.Type

/** None when the text is no envelope of this version: then the row cannot be read, and `checkRow` says so. */
export const parseEnvelope: (canonical: string) => Option.Option<EnvelopeText> = Schema.decodeUnknownOption(
  Schema.fromJsonString(EnvelopeText)
)
