/** The contract of `LoopStore` (DEC-20, LOP-01 to LOP-03). */
import { assert } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { AdmissionStore } from "../services/AdmissionStore.ts"
import { LoopStore } from "../services/LoopStore.ts"
import {
  describeStores,
  enrolled,
  exactly,
  newSession,
  policy,
  request,
  type StoreClock,
  type Stores,
  testClock
} from "./StoreSet.ts"

/** Registers the tests; `stores` MUST build all five stores over one state. */
export const suite = <E>(name: string, stores: Layer.Layer<Stores, E>, clock: StoreClock = testClock) =>
  describeStores(`LoopStore (${name})`, stores, clock, (it) => {
    const looping = Effect.fnUntraced(function* (
      windowSeconds: number,
      maxCalls: number,
      action: "raise" | "log" = "raise"
    ) {
      const agentId = yield* enrolled
      yield* policy(agentId, "loop", { windowSeconds, maxCalls, action })
      return agentId
    })

    it.effect("answers null for an agent without a loop policy (LOP-01)", () =>
      Effect.gen(function* () {
        const store = yield* LoopStore
        const agentId = yield* enrolled
        assert.isNull(yield* store.record(agentId, null, "search"))
        assert.isNull(yield* store.peek(agentId, null))
      })
    )

    it.effect("counts each call in the window of its agent, session and tool, with the policy's limits (LOP-02)", () =>
      Effect.gen(function* () {
        const store = yield* LoopStore
        const agentId = yield* looping(3600, 5, "log")
        const [one, two] = [newSession(), newSession()]
        const count = (session: typeof one, tool: string) =>
          Effect.map(store.record(agentId, session, tool), (found) => found?.count)
        assert.deepStrictEqual(
          { ...(yield* store.record(agentId, one, "search")) },
          {
            ...{ count: 1, maxCalls: 5, windowSeconds: 3600, action: "log" }
          }
        )
        assert.strictEqual(yield* count(one, "search"), 2)
        assert.strictEqual(yield* count(one, "fetch"), 1)
        assert.strictEqual(yield* count(two, "search"), 1)
        const other = yield* looping(3600, 5)
        assert.strictEqual((yield* store.record(other, one, "search"))?.count, 1)
      })
    )

    it.effect("loses no call among many at once (LOP-02)", () =>
      Effect.gen(function* () {
        const store = yield* LoopStore
        const agentId = yield* looping(3600, 1000)
        const counts = yield* Effect.forEach(Array.from({ length: 50 }), () => store.record(agentId, null, "search"), {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(
          counts.map((found) => found?.count ?? 0).sort((a, b) => a - b),
          Array.from({ length: 50 }, (_, i) => i + 1)
        )
      })
    )

    it.effect("shares its windows with admission (design 3, LOP-02)", () =>
      Effect.gen(function* () {
        const store = yield* LoopStore
        const admission = yield* AdmissionStore
        const agentId = yield* looping(3600, 2)
        yield* store.record(agentId, null, "search")
        const ask = () => admission.admit(request(agentId, { tool: "search", hold: exactly(0n) }))
        assert.strictEqual((yield* ask())._tag, "Admitted")
        assert.strictEqual((yield* ask())._tag, "Looping")
      })
    )

    it.effect("peeks at the fullest window of the session and counts nothing by it (LOP-03)", () =>
      Effect.gen(function* () {
        const store = yield* LoopStore
        const agentId = yield* looping(3600, 2)
        const sessionId = newSession()
        const peek = Effect.map(store.peek(agentId, sessionId), (found) => ({ ...found }))
        assert.deepStrictEqual(yield* peek, { count: 0, maxCalls: 2, windowSeconds: 3600 })
        yield* store.record(agentId, sessionId, "search")
        yield* store.record(agentId, sessionId, "fetch")
        yield* store.record(agentId, sessionId, "fetch")
        for (let look = 0; look < 2; look++) assert.strictEqual((yield* peek).count, 2)
      })
    )

    it.effect("lets calls slide out of the window one by one (LOP-02)", () =>
      Effect.gen(function* () {
        const store = yield* LoopStore
        const agentId = yield* looping(1, 5)
        yield* store.record(agentId, null, "search")
        yield* clock.advance(600)
        yield* store.record(agentId, null, "search")
        yield* clock.advance(600)
        assert.strictEqual((yield* store.peek(agentId, null))?.count, 1)
        assert.strictEqual((yield* store.record(agentId, null, "search"))?.count, 2)
        yield* clock.advance(1_100)
        assert.strictEqual((yield* store.peek(agentId, null))?.count, 0)
      })
    )
  })
