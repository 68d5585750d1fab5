import { createHmac, createSecretKey, hash as digest, randomBytes } from "node:crypto"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Logger, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { labels } from "../src/schema/Chain.ts"
import { AgentKeyStore } from "../src/services/AgentKeyStore.ts"
import { Audit } from "../src/services/Audit.ts"
import { AuditStore } from "../src/services/AuditStore.ts"
import { isSignedBy, publicKeyFrom } from "../src/services/Ed25519.ts"
import { build } from "./Build.ts"
import * as GovernedDatabase from "./GovernedDatabase.ts"
import { interleaved, timed } from "./Rounds.ts"

export interface VerifyRequest {
  readonly url: string
  readonly rounds: number
  readonly signed: boolean
}

export interface VerifyFindings {
  readonly rows: number
  /** Milliseconds a row, round by round. */
  readonly verifying: ReadonlyArray<number>
  /** Hash and HMAC of the same texts; for a signed log their bare signatures. */
  readonly bare: ReadonlyArray<number>
}

const verifyAll = Effect.fnUntraced(function* (url: string, rounds: number, signed: boolean) {
  const services = yield* build(GovernedDatabase.layer(Redacted.make(url)))
  const audit = Context.get(services, Audit)
  const store = Context.get(services, AuditStore)

  let rows = 0
  for (const { seq } of yield* store.heads(null, 10_000)) rows += seq
  const sample = yield* sampled(url)
  const texts = sample.map(({ canonical }) => canonical)
  const hashed = Math.min(rows, 100_000)
  // Node's own, not the library's: what verification is measured against must not move with it.
  const key = createSecretKey(randomBytes(32))
  const hash = (n: number) => {
    const text = texts[n % texts.length]!
    digest("sha256", labels.hash + text, "buffer")
    createHmac("sha256", key)
      .update(labels.mac + text)
      .digest()
  }
  const keys = new Map(
    (yield* AgentKeyStore.use((keyStore) => keyStore.list).pipe(Effect.provide(services))).map((key) => [
      `${key.fingerprint}`,
      publicKeyFrom(key.publicKey)
    ])
  )
  const check = (n: number) => {
    const { canonical, signature, signer } = sample[n % sample.length]!
    const key = keys.get(signer ?? "")
    if (key === undefined || signature === null || !isSignedBy(key, labels.signature + canonical, signature))
      throw new Error(`no signature for ${canonical}`)
  }
  const count = signed ? rows : hashed

  const costs = yield* interleaved(rounds, {
    verifying: Effect.map(timed(audit.verifyChain()), (ms) => ms / rows),
    bare: Effect.map(
      timed(
        Effect.sync(() => {
          for (let n = 0; n < count; n++) {
            if (signed) check(n)
            else hash(n)
          }
        })
      ),
      (ms) => ms / count
    )
  })
  return { rows, ...costs } satisfies VerifyFindings
}, Effect.scoped)

/** Some of the texts and their signatures, to be used over and over. */
const sampled = (url: string) =>
  SqlClient.SqlClient.use(
    (sql) => sql<{ canonical: string; signer: string | null; signature: Uint8Array | null }>`
      SELECT canonical, signer, signature FROM governance_audit_events WHERE kind = 'tool.call' LIMIT 4000`
  ).pipe(Effect.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 }), { local: true }))

process.once("message", ({ rounds, signed, url }: VerifyRequest) => {
  void Effect.runPromise(Effect.provide(verifyAll(url, rounds, signed), Logger.layer([]))).then(
    (found) => process.send?.(found, () => process.disconnect()),
    (error) => {
      console.error(error)
      process.exit(1)
    }
  )
})
