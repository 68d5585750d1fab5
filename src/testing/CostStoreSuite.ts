/** The contract of `CostStore` (CST-04, CST-06, CST-12, CST-13, U-05 to U-09). */
import { assert } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { AdmissionStore } from "../services/AdmissionStore.ts"
import { CostStore } from "../services/CostStore.ts"
import {
  delegateOf,
  describeStores,
  enrolled,
  exactly,
  micro,
  newAgent,
  newSession,
  newTicket,
  policy,
  request,
  type StoreClock,
  type Stores,
  testClock,
  withBudget
} from "./StoreSet.ts"

/** Registers the tests; `stores` MUST build all five stores over one state. */
export const suite = <E>(name: string, stores: Layer.Layer<Stores, E>, clock: StoreClock = testClock) =>
  describeStores(`CostStore (${name})`, stores, clock, (it) => {
    it.effect("answers zeros and no caps for an agent that nobody has seen (CST-13)", () =>
      Effect.gen(function* () {
        const store = yield* CostStore
        const { day, ...rest } = yield* store.snapshot(newAgent(), null)
        assert.match(day, /^\d{4}-\d{2}-\d{2}$/)
        const { agentId: _, sessionId, ...counters } = rest
        assert.strictEqual(sessionId, null)
        assert.deepStrictEqual(counters, {
          ...{ sessionUsd: micro(0), sessionTokens: 0n, dailyUsd: micro(0), dailyTokens: 0n, heldUsd: micro(0) },
          caps: []
        })
      })
    )

    it.effect(
      "tells spent and held apart, and every cap of the path with both in use, root first (CST-04, CST-13, BEY-09)",
      () =>
        Effect.gen(function* () {
          const store = yield* CostStore
          const admission = yield* AdmissionStore
          const root = yield* withBudget({ perAgentTokensDaily: 1000, perAgentUsdDaily: "1" })
          const agentId = yield* delegateOf(root)
          yield* policy(agentId, "budget", { perSessionUsd: "0.5", perSessionSeconds: 3600 })
          const sessionId = newSession()
          yield* store.track({ id: newTicket(), agentId, sessionId, model: "gpt-4o", usd: micro(3), tokens: 30n })
          yield* admission.admit(request(agentId, { root, sessionId, hold: exactly(micro(4), 40n) }))
          const { day: _, ...now } = yield* store.snapshot(agentId, sessionId)
          assert.deepStrictEqual(
            { ...now, caps: now.caps.map((cap) => ({ ...cap })) },
            {
              ...{ agentId, sessionId, sessionUsd: micro(3), sessionTokens: 30n, dailyUsd: micro(3), dailyTokens: 30n },
              heldUsd: micro(4),
              caps: [
                { cap: "perAgentUsdDaily", policyOf: root, limit: micro(1_000_000), used: micro(7) },
                { cap: "perAgentTokensDaily", policyOf: root, limit: 1000n, used: 70n },
                { cap: "perSessionUsd", policyOf: agentId, limit: micro(500_000), used: micro(7) },
                { cap: "perSessionSeconds", policyOf: agentId, limit: 3600n, used: 0n }
              ]
            }
          )
        })
    )

    it.effect("adds what is tracked to every agent of the path, and a repeated id nothing (CST-06, BEY-09)", () =>
      Effect.gen(function* () {
        const store = yield* CostStore
        const root = yield* enrolled
        const agentId = yield* delegateOf(root)
        const spent = { id: newTicket(), agentId, sessionId: null, model: "gpt-4o", usd: micro(5), tokens: 50n }
        yield* Effect.forEach(Array.from({ length: 20 }), () => store.track(spent), { concurrency: "unbounded" })
        for (const each of [root, agentId]) {
          const now = yield* store.snapshot(each, null)
          assert.deepStrictEqual(
            [now.sessionUsd, now.dailyUsd, now.sessionTokens, now.dailyTokens],
            [micro(5), micro(5), 50n, 50n]
          )
        }
      })
    )

    it.effect("loses no addition among many at once (CST-06, U-05)", () =>
      Effect.gen(function* () {
        const store = yield* CostStore
        const agentId = yield* enrolled
        const amounts = Array.from({ length: 100 }, (_, i) => BigInt(i + 1))
        yield* Effect.forEach(
          amounts,
          (amount) =>
            store.track({ id: newTicket(), agentId, sessionId: null, model: null, usd: micro(amount), tokens: amount }),
          { concurrency: "unbounded" }
        )
        const now = yield* store.snapshot(agentId, null)
        assert.deepStrictEqual([now.dailyUsd, now.dailyTokens], [micro(5050), 5050n])
      })
    )

    it.effect("takes no negative amount, so nobody can win a budget back (CST-06, U-07)", () =>
      Effect.gen(function* () {
        const store = yield* CostStore
        const agentId = yield* enrolled
        const error = yield* Effect.flip(
          store.track({ id: newTicket(), agentId, sessionId: null, model: null, usd: micro(1), tokens: -1n })
        )
        assert.strictEqual(error._tag, "StoreError")
        assert.strictEqual((yield* store.snapshot(agentId, null)).dailyUsd, 0n)
      })
    )

    it.effect("counts tracked spending against the caps of admission (DEC-07)", () =>
      Effect.gen(function* () {
        const store = yield* CostStore
        const admission = yield* AdmissionStore
        const agentId = yield* withBudget({ perSessionUsd: "0.00001" })
        yield* store.track({ id: newTicket(), agentId, sessionId: null, model: null, usd: micro(10), tokens: 0n })
        assert.strictEqual((yield* admission.admit(request(agentId)))._tag, "Short")
      })
    )

    it.effect("sums the spending of an agent by model, tracked and settled alike (CST-12)", () =>
      Effect.gen(function* () {
        const store = yield* CostStore
        const admission = yield* AdmissionStore
        const agentId = yield* enrolled
        assert.deepStrictEqual(yield* store.breakdown(agentId), [])
        const track = (model: string | null, usd: number, tokens: bigint) =>
          store.track({ id: newTicket(), agentId, sessionId: null, model, usd: micro(usd), tokens })
        yield* track("gpt-4o", 1, 10n)
        yield* track("gpt-4o", 2, 20n)
        yield* track(null, 100, 0n)
        const ask = request(agentId)
        yield* admission.admit(ask)
        yield* admission.settle(agentId, ask.ticket, {
          ...{ _tag: "Spent", usd: micro(4), tokens: 5n, model: "claude-sonnet-4-6", resultHash: null }
        })
        const rows = (yield* store.breakdown(agentId)).map((row) => ({ ...row }))
        assert.deepStrictEqual(
          rows.sort((a, b) => (a.model < b.model ? -1 : 1)),
          [
            { model: "claude-sonnet-4-6", usd: micro(4), tokens: 5n },
            { model: "gpt-4o", usd: micro(3), tokens: 30n }
          ]
        )
      })
    )
  })
