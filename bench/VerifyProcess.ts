import { Context, Effect, Logger, Redacted, Stream } from "effect"
import { labels } from "../src/schema/Chain.ts"
import { ChainId } from "../src/schema/Ids.ts"
import { AgentKeyStore } from "../src/services/AgentKeyStore.ts"
import { Audit } from "../src/services/Audit.ts"
import { AuditStore } from "../src/services/AuditStore.ts"
import { ChainKeys } from "../src/services/ChainKeys.ts"
import { isSignedBy, publicKeyFrom } from "../src/services/Ed25519.ts"
import { build } from "./Build.ts"
import { sessionOf } from "./Fill.ts"
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
  readonly maxRssMiB: number
  readonly startRssMiB: number
}

const verifyAll = Effect.fnUntraced(function* (url: string, rounds: number, signed: boolean) {
  const services = yield* build(GovernedDatabase.layer(Redacted.make(url)))
  const audit = Context.get(services, Audit)
  const store = Context.get(services, AuditStore)
  const { current } = Context.get(services, ChainKeys)
  const startRssMiB = process.memoryUsage().rss / 2 ** 20

  let rows = 0
  for (const { seq } of yield* store.heads(null, 10_000)) rows += seq
  // The texts of a few chains, over and over: all of them would be the memory that is measured.
  const sample = yield* Stream.runCollect(
    Stream.flatMap(Stream.range(0, 9), (n) => store.rows(ChainId.make(`session:${sessionOf(n)}`)))
  )
  const texts = sample.slice(0, 4_000).map(({ canonical }) => canonical)
  const hashed = Math.min(rows, 100_000)
  const hash = (n: number) => {
    const text = texts[n % texts.length]!
    current.hash(labels.hash + text)
    current.mac(labels.mac + text)
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
  const found: VerifyFindings = { rows, ...costs, startRssMiB, maxRssMiB: process.resourceUsage().maxRSS / 1024 }
  return found
}, Effect.scoped)

process.once("message", ({ rounds, signed, url }: VerifyRequest) => {
  void Effect.runPromise(Effect.provide(verifyAll(url, rounds, signed), Logger.layer([]))).then(
    (found) => process.send?.(found, () => process.disconnect()),
    (error) => {
      console.error(error)
      process.exit(1)
    }
  )
})
