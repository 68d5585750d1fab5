import { Effect, Layer } from "effect"
import { uuidV4Unsafe } from "effect/crypto/SecureRandom"
import type { ChainKeyVersion } from "../../schema/ChainKeyVersion.ts"
import { ChainKeyStore } from "../../services/ChainKeyStore.ts"
import { CurrentJournal } from "./StoreTransaction.ts"

/** The keys of a log that lives and dies with this process. */
export const make = Effect.gen(function* () {
  const deploymentId = uuidV4Unsafe()
  let versions: ReadonlyArray<ChainKeyVersion> = []

  return ChainKeyStore.of({
    read: Effect.sync(() => ({ deploymentId, versions })),

    begin: ({ fingerprint, keyId }) =>
      Effect.sync(() => {
        if (versions.length > 0) return false
        versions = [{ version: 1, keyId, fingerprint, previous: null, marker: null, handover: null }]
        return true
      }),

    advance: ({ expected, ...next }) =>
      Effect.flatMap(CurrentJournal, (journal) => {
        if (journal === null) return Effect.die(new Error("ChainKeyStore.advance outside of StoreTransaction.run"))
        const before = versions
        const current = before.at(-1)
        if (current?.version !== expected || current.keyId !== next.previous) return Effect.succeed(false)
        if (before.some(({ keyId }) => keyId === next.keyId)) return Effect.succeed(false)
        // One transaction at a time: nobody reads or writes between here and its end but the transaction itself.
        versions = [...before, { version: expected + 1, ...next }]
        journal.onEnd.push((committed) => {
          if (!committed) versions = before
        })
        return Effect.succeed(true)
      })
  })
})

export const layer = Layer.effect(ChainKeyStore, make)
