import { Schema } from "effect"

/** What a legal hold may stand on. A hold on a subject covers every row with a value under one of its keys. */
export const HoldScope = Schema.Literals(["chain", "agent", "session", "subject"])
export type HoldScope = typeof HoldScope.Type

/** Forbids to prune and to erase until it is released. */
export const LegalHold = Schema.Struct({
  scope: HoldScope,
  name: Schema.String,
  by: Schema.String,
  reason: Schema.String,
  /** Milliseconds since the epoch. */
  setAtMs: Schema.Finite
})
export type LegalHold = typeof LegalHold.Type
