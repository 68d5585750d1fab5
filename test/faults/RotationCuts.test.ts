import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { operatorChain } from "../../src/schema/Ids.ts"
import { markerKind } from "../../src/schema/RotationMarker.ts"
import { newSecret, operatorWith, sealOne, to } from "../rotation/Processes.ts"
import { freshDatabase, TestDatabase } from "../support/database.ts"
import * as FaultProxy from "./FaultProxy.ts"

describe("a rotation whose connection is cut", () => {
  it.live(
    "after any statement is whole or has not been: one marker a version, and no row that nobody can verify (K-05, F-15)",
    () =>
      Effect.gen(function* () {
        const { ownerUrl } = yield* TestDatabase
        const secret = newSecret()
        const watcher = yield* operatorWith(secret, { hotReloadInterval: "1 hour" })
        yield* sealOne(watcher)
        const proxy = yield* FaultProxy.make(ownerUrl)
        let cuts = 0
        let failures = 0
        for (let nth = 1; ; nth++) {
          assert.isBelow(nth, 40)
          const exit = yield* Effect.scoped(
            Effect.gen(function* () {
              yield* proxy.set({})
              const operator = yield* operatorWith(secret, { databaseUrl: proxy.url, hotReloadInterval: "1 hour" })
              // The answer to the nth question never comes: the statement took effect, or its transaction is undone.
              const before = proxy.stats.cuts
              yield* proxy.set({ cut: { message: "Z", nth: proxy.stats.messages + nth } })
              const exit = yield* Effect.exit(operator.rotation.rotate(to(newSecret())))
              yield* proxy.set({})
              const cut = proxy.stats.cuts - before
              cuts += cut
              return { exit, cut }
            })
          )
          const { versions } = yield* watcher.registry.read
          const markers = yield* watcher.log.find({ chain: operatorChain, kinds: [markerKind] })
          assert.strictEqual(markers.length, versions.length - 1, `cut ${nth}`)
          if (Exit.isFailure(exit.exit)) failures++
          yield* watcher.follower.refresh
          assert.strictEqual(yield* sealOne(watcher), versions.at(-1)?.keyId)
          assert.deepInclude(yield* watcher.audit.report(), { verdict: "ok", unresolvedKeyIds: [] }, `cut ${nth}`)
          if (exit.cut === 0) break
        }
        // Every statement of the transaction had its turn, and some of the cuts were felt.
        assert.isAtLeast(cuts, 8)
        assert.isAtLeast(failures, 3)
      }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true })),
    120_000
  )
})
