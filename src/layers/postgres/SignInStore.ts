import { Effect, Layer } from "effect"
import { Email } from "../../schema/Workspace.ts"
import { SignInStore } from "../../services/SignInStore.ts"
import * as Ask from "./Ask.ts"
import { Database } from "./Database.ts"

/** Links and sessions in the platform's own schema. Expired ones go when others come. */
export const make = Effect.gen(function* () {
  const { prefix } = yield* Database
  const ask = yield* Ask.make("SignInStore")

  return SignInStore.of({
    issue: ({ digest, email, expiresMs, nowMs }) =>
      Effect.map(
        ask(
          "issue",
          `WITH swept AS (DELETE FROM ${prefix}governance_sign_in_links WHERE expires_ms <= $4::bigint)
           INSERT INTO ${prefix}governance_sign_in_links (digest, email, expires_ms)
           SELECT $1, $2, $3::bigint
            WHERE EXISTS (SELECT 1 FROM ${prefix}governance_memberships($2::text)) RETURNING 1`,
          [digest, email, BigInt(expiresMs), BigInt(nowMs)]
        ),
        (rows) => rows.length > 0
      ),
    redeem: (digest, session, nowMs) =>
      Effect.map(
        ask(
          "redeem",
          `WITH used AS (
             DELETE FROM ${prefix}governance_sign_in_links WHERE digest = $1 AND expires_ms > $2::bigint RETURNING email),
           swept AS (DELETE FROM ${prefix}governance_sessions s USING used u WHERE s.email = u.email AND s.expires_ms <= $2::bigint)
           INSERT INTO ${prefix}governance_sessions (digest, email, created_ms, expires_ms)
           SELECT $3, u.email, $2::bigint, $4::bigint FROM used u RETURNING email`,
          [digest, BigInt(nowMs), session.digest, BigInt(session.expiresMs)]
        ),
        ([row]) => (row === undefined ? null : Email.make(String(row[0])))
      ),
    session: (digest, nowMs) =>
      Effect.map(
        ask("session", `SELECT email FROM ${prefix}governance_sessions WHERE digest = $1 AND expires_ms > $2::bigint`, [
          digest,
          BigInt(nowMs)
        ]),
        ([row]) => (row === undefined ? null : Email.make(String(row[0])))
      ),
    end: (digest) =>
      Effect.map(
        ask("end", `DELETE FROM ${prefix}governance_sessions WHERE digest = $1 RETURNING 1`, [digest]),
        (rows) => rows.length > 0
      ),
    endAll: (email) =>
      Effect.map(
        ask("endAll", `DELETE FROM ${prefix}governance_sessions WHERE email = $1 RETURNING 1`, [email]),
        (rows) => rows.length
      )
  })
})

export const layer = Layer.effect(SignInStore, make)
