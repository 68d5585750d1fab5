import { createHmac, createSecretKey, hash as digest, randomBytes } from "node:crypto"
import { Context, Effect, Logger, Redacted, Stream } from "effect"
import { labels } from "../src/schema/Chain.ts"
import { ChainId } from "../src/schema/Ids.ts"
import { AgentKeyStore } from "../src/services/AgentKeyStore.ts"
import { Audit } from "../src/services/Audit.ts"
import { AuditStore } from "../src/services/AuditStore.ts"
import { isSignedBy, publicKeyFrom } from "../src/services/Ed25519.ts"
import { build } from "./Build.ts"
import { sessionOf } from "./Fill.ts"
import * as GovernedDatabase from "./GovernedDatabase.ts"
import { interleaved, timed } from "./Rounds.ts"

export interface VerifyRequest {
  readonly url: string
  readonly rounds: number
  readonly signed: boolean
  /** Verifies and does nothing else: no rows counted, no times. */
  readonly alone: boolean
}

export interface VerifyFindings {
  readonly rows: number
  /** Milliseconds a row, round by round. */
  readonly verifying: ReadonlyArray<number>
  /** Hash and HMAC of the same texts; for a signed log their bare signatures. */
  readonly bare: ReadonlyArray<number>
  readonly maxRssMiB: number
  readonly startRssMiB: number
}

const verifyAll = Effect.fnUntraced(function* (url: string, rounds: number, signed: boolean) {
  const services = yield* build(GovernedDatabase.layer(Redacted.make(url)))
  const audit = Context.get(services, Audit)
  const store = Context.get(services, AuditStore)
  const startRssMiB = process.memoryUsage().rss / 2 ** 20

  let rows = 0
  for (const { seq } of yield* store.heads(null, 10_000)) rows += seq
  // The texts of a few chains, over and over: all of them would be the memory that is measured.
  const sample = yield* Stream.runCollect(
    Stream.flatMap(Stream.range(0, 9), (n) => store.rows(ChainId.make(`session:${sessionOf(n)}`)))
  )
  const texts = sample.slice(0, 4_000).map(({ canonical }) => canonical)
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
  const signatures = signed ? sample.slice(0, 4_000) : []
  const check = (n: number) => {
    const row = signatures[n % signatures.length]!
    const key = keys.get(row.signer ?? "")
    if (
      key === undefined ||
      row.signature === null ||
      !isSignedBy(key, labels.signature + row.canonical, row.signature)
    )
      throw new Error(`row ${row.seq} of ${row.chain} is not signed`)
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
  const found: VerifyFindings = { rows, ...costs, startRssMiB, maxRssMiB: maxRssMiB() }
  return found
}, Effect.scoped)

/** The memory of verification alone: what it is compared with leaves more garbage than it does itself. */
const verifyAlone = Effect.fnUntraced(function* (url: string, rounds: number) {
  const services = yield* build(GovernedDatabase.layer(Redacted.make(url)))
  const startRssMiB = process.memoryUsage().rss / 2 ** 20
  for (let round = 0; round < rounds; round++) yield* Context.get(services, Audit).verifyChain()
  const found: VerifyFindings = { rows: 0, verifying: [], bare: [], startRssMiB, maxRssMiB: maxRssMiB() }
  return found
}, Effect.scoped)

const maxRssMiB = () => process.resourceUsage().maxRSS / 1024

process.once("message", ({ alone, rounds, signed, url }: VerifyRequest) => {
  const verified = alone ? verifyAlone(url, rounds) : verifyAll(url, rounds, signed)
  void Effect.runPromise(Effect.provide(verified, Logger.layer([]))).then(
    (found) => process.send?.(found, () => process.disconnect()),
    (error) => {
      console.error(error)
      process.exit(1)
    }
  )
})
