// What people and programs sign in with is random, so its bare SHA-256 is as good as a slow hash, and can be looked up.
import { createHash, randomBytes } from "node:crypto"
import { Effect, Redacted } from "effect"
import { TokenId } from "../schema/Workspace.ts"
import type { TokenRow } from "../services/WorkspaceStore.ts"

/** SHA-256 in hex: all that is kept of a token. Whoever can read the table cannot use what it holds (PLT-02). */
export const digestOf = (secret: Redacted.Redacted<string>): string =>
  createHash("sha256").update(Redacted.value(secret)).digest("hex")

/** 256 random bits behind a prefix that people and scanners know it by. */
export const newSecret = (prefix: string): Effect.Effect<Redacted.Redacted<string>> =>
  Effect.sync(() => Redacted.make(`${prefix}${randomBytes(32).toString("base64url")}`, { label: `${prefix} token` }))

/** 128 random bits that are no secret. */
export const newId: Effect.Effect<string> = Effect.sync(() => randomBytes(16).toString("base64url"))

/** A `wf_` token, shown once, and the row that is kept of it. */
export const newToken = Effect.fnUntraced(function* (nowMs: number) {
  const secret = yield* newSecret("wf_")
  const row: TokenRow = {
    token: TokenId.make(yield* newId),
    digest: digestOf(secret),
    hint: Redacted.value(secret).slice(-4),
    createdMs: nowMs
  }
  return { secret, row }
})

/** Whether a text can be a token at all, so that nothing else reaches the database. */
export const isWorkflowToken = (text: string): boolean => /^wf_[A-Za-z0-9_-]{43}$/.test(text)
