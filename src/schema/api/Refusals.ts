import { Schema } from "effect"
import { HttpApiSchema } from "effect/http-api"
import * as Wire from "../BridgeWire.ts"

// Answers that are no success: a word for programs, and a status. What went wrong inside the server is in its log alone.
const refusal = <const Word extends string>(
  word: Word,
  status: 400 | 401 | 403 | 404 | 409 | 410 | 413 | 422 | 429 | 503
) => Schema.Struct({ error: Schema.Literal(word) }).pipe(HttpApiSchema.status(status))

/** The request is not what the contract says; nothing was done. */
export const Invalid = refusal("invalid", 400)
/** No token or session, or one that is not good any more: which of them is not said. */
export const Unauthorized = refusal("unauthorized", 401)
/** The role of whoever asks does not allow it, or a page of another site asks. */
export const Forbidden = refusal("forbidden", 403)
/** There is no such thing for whoever asks, whether or not it exists for others (P-11). */
export const NotFound = refusal("not_found", 404)
export const NameTaken = refusal("name_taken", 409)
export const TooLarge = refusal("too_large", 413)
/** `Retry-After` says when to come again. */
export const RateLimited = refusal("rate_limited", 429)
/** The database does not answer: nothing was acknowledged, so send it again (P-07). */
export const Unavailable = refusal("unavailable", 503)

export const NotEntitled = Wire.NotEntitled.pipe(HttpApiSchema.status(402))
export const SeqOutOfOrder = Wire.SeqOutOfOrder.pipe(HttpApiSchema.status(409))
export const EventConflict = Wire.EventConflict.pipe(HttpApiSchema.status(409))
