import { Effect, Result, Schema } from "effect"
import { Base64 } from "effect/encoding"
import { parsePublicKey } from "../layers/keys/PublicKey.ts"
import { AgentKeyFingerprint } from "../schema/AgentKey.ts"
import { UsageError } from "./CliFailure.ts"
import { readFrom } from "./InputText.ts"

const maxBytes = 16_384

const todos = {
  malformed: "Give the PEM of `openssl pkey -in key.pem -pubout`, or 64 hex digits.",
  wrongKind: "Make an Ed25519 key with `openssl genpkey -algorithm ed25519`.",
  isPrivate: "Keep it to yourself; give the PEM of `openssl pkey -in key.pem -pubout`."
} as const
const problems = {
  malformed: "holds no public key",
  wrongKind: "is no Ed25519 key",
  isPrivate: "is a private key"
} as const

/** The public key in a file, or on standard input where the path is `-`. */
export const readPublicKey = Effect.fnUntraced(function* (path: string) {
  const key = parsePublicKey(yield* readFrom(path, maxBytes))
  if (Result.isSuccess(key)) return key.success
  return yield* new UsageError({
    subject: "--public-key",
    problem: problems[key.failure],
    todo: todos[key.failure]
  })
})

/** The base64 of a signature in a file, or on standard input. */
export const readProof = Effect.fnUntraced(function* (path: string) {
  const proof = Base64.decode((yield* readFrom(path, maxBytes)).replace(/\s+/g, ""))
  if (Result.isSuccess(proof) && proof.success.length === 64) return proof.success
  return yield* new UsageError({
    subject: "--proof",
    problem: "is no base64 of an Ed25519 signature",
    todo: "`governance agents keys challenge` says how to make it."
  })
})

export const fingerprintFrom = (text: string) =>
  Effect.mapError(
    Schema.decodeUnknownEffect(AgentKeyFingerprint)(text.trim().toLowerCase()),
    () =>
      new UsageError({
        subject: "The fingerprint",
        problem: "must have all 64 hex digits",
        todo: "`governance agents keys list` shows them; a part of one is never completed."
      })
  )
