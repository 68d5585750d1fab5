import { createHmac } from "node:crypto"
import { Effect, Layer, Stream } from "effect"
import * as AuditStorePg from "../../src/layers/postgres/AuditStore.ts"
import * as Database from "../../src/layers/postgres/Database.ts"
import type { Verifier } from "../../src/schema/Chain.ts"
import type { ChainBreak } from "../../src/schema/ChainReport.ts"
import type { ChainRow } from "../../src/schema/Envelope.ts"
import { SessionId, sessionChain } from "../../src/schema/Ids.ts"
import * as Audit from "../../src/services/Audit.ts"
import * as AuditFallback from "../../src/services/AuditFallback.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import { random } from "../schema/JsonArbitrary.ts"
import { TestDatabase } from "../support/database.ts"
import { anyDraft } from "./Chains.ts"

const sign = (text: string) => createHmac("sha256", "the agent's key").update(text).digest()
const fingerprint = "a".repeat(64)

/** The keys of the tests; every second row is signed as well. */
export const keys = Layer.effect(
  ChainKeys.ChainKeys,
  Effect.map(ChainKeys.ChainKeys, (base) => {
    let asked = 0
    return {
      ...base,
      get current() {
        return { ...base.current, signer: asked++ % 2 === 0 ? null : { fingerprint, sign } }
      }
    }
  })
).pipe(Layer.provide(ChainKeys.layerTest))

/** The log on the test's database, as the runtime role reaches it. */
export const stored = Layer.unwrap(
  Effect.map(TestDatabase, ({ appUrl }) => AuditStorePg.layer.pipe(Layer.provide(Database.layerFromUrl(appUrl))))
).pipe(Layer.provideMerge(keys))

/** `Audit` over whatever store and keys are there. */
export const reading = Audit.layerWith().pipe(Layer.provide(AuditFallback.layerMemory))

/** Everything that proves a row, the signature included. */
export const everyProof = Effect.map(
  ChainKeys.ChainKeys,
  ({ hash, macFor }): Verifier => ({
    hash,
    macFor,
    signature: (given, text, signature) =>
      given !== fingerprint ? "unknown" : Buffer.compare(signature, sign(text)) === 0 ? "valid" : "invalid"
  })
)

/** Rows with hostile names and metadata, written one after the other and read back. */
export const filled = Effect.fnUntraced(function* (session: string, count: number, seed: number) {
  const store = yield* AuditStore
  const next = random(seed)
  for (let i = 0; i < count; i++) yield* store.append(anyDraft(next, session))
  return yield* Stream.runCollect(store.rows(sessionChain(SessionId.make(session))))
})

/** A store that has read its chains once, and then holds whatever somebody made of their rows. The heads stay as they were. */
export const heldStore = (rows: { current: ReadonlyArray<ChainRow> }) =>
  Effect.gen(function* () {
    const store = yield* AuditStore
    const heads = yield* store.heads(null, 1000)
    const moved = yield* store.movedSince(0)
    const headOf = new Map(heads.map((head) => [head.chain, head]))
    return AuditStore.of({
      ...store,
      heads: () => Effect.succeed(heads),
      movedSince: () => Effect.succeed(moved),
      head: (chain) => Effect.succeed(headOf.get(chain) ?? { seq: 0, hash: null, atMs: 0 }),
      rows: (chain) => Stream.fromIterable(rows.current.filter((row) => row.chain === chain))
    })
  })

/** What is found without the secret and without the agent's key: both prove authorship, neither is needed for the content. */
export const withoutKeys = (found: ReadonlyArray<ChainBreak>) =>
  found.filter(({ problem }) => problem !== "hmac" && !problem.startsWith("unknown"))
