import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Stores from "../../src/layers/memory/Stores.ts"
import * as MemoryTransaction from "../../src/layers/memory/StoreTransaction.ts"
import { AdmissionStore } from "../../src/services/AdmissionStore.ts"
import { PresenceStore } from "../../src/services/PresenceStore.ts"
import { StoreTransaction } from "../../src/services/StoreTransaction.ts"
import * as rig from "../../src/testing/StoreSet.ts"

const provide = Effect.provide(Layer.mergeAll(Stores.layer, MemoryTransaction.layer))

const verdictOf = (agentId: Parameters<typeof rig.request>[0]) =>
  AdmissionStore.use((store) => Effect.map(store.admit(rig.request(agentId)), ({ _tag }) => _tag))

describe("a halt inside a transaction", () => {
  it.effect("is gone when the transaction fails and stays when it commits (H-10)", () =>
    Effect.gen(function* () {
      const presence = yield* PresenceStore
      const { run } = yield* StoreTransaction
      const agentId = yield* rig.enrolled
      const halt = presence.halt({ agentId, haltedBy: rig.operator, reason: "stop" })
      yield* Effect.flip(run(Effect.andThen(halt, Effect.fail("audit"))))
      assert.strictEqual(yield* verdictOf(agentId), "Admitted")
      assert.deepStrictEqual(yield* presence.halts, [])
      yield* run(halt)
      assert.strictEqual(yield* verdictOf(agentId), "Halted")
    }).pipe(provide)
  )

  it.effect("is not lifted before the resume commits, and not at all when that fails (H-10, I6)", () =>
    Effect.gen(function* () {
      const presence = yield* PresenceStore
      const { run } = yield* StoreTransaction
      const agentId = yield* rig.enrolled
      yield* presence.halt({ agentId, haltedBy: rig.operator, reason: "stop" })
      yield* Effect.flip(run(Effect.andThen(presence.resume(agentId), Effect.fail("audit"))))
      assert.strictEqual(yield* verdictOf(agentId), "Halted")
      const during = yield* run(Effect.andThen(presence.resume(agentId), verdictOf(agentId)))
      assert.strictEqual(during, "Halted")
      assert.strictEqual(yield* verdictOf(agentId), "Admitted")
    }).pipe(provide)
  )
})
