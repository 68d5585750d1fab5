/** The contract of `BudgetAlertStore` (WHK-03, V8-05). */
import { assert, layer as layerTest } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { BudgetAlertStore } from "../services/BudgetAlertStore.ts"
import { newAgent, newSession } from "./StoreSet.ts"

const daily = (day = "2026-11-21") => ({ agentId: newAgent(), cap: "perAgentUsdDaily", day, session: null }) as const

/** Registers the tests. Other processes are further layers over the same data; `live` runs on real time. */
export const suite = <E>(
  name: string,
  store: Layer.Layer<BudgetAlertStore, E>,
  { live }: { readonly live: boolean } = { live: false }
) =>
  layerTest(store, { excludeTestServices: live, timeout: "60 seconds" })(`BudgetAlertStore (${name})`, (it) => {
    it.effect("gives an alert to one of many callers at once, and to nobody after it (WHK-03)", () =>
      Effect.gen(function* () {
        const { claim } = yield* BudgetAlertStore
        const alert = daily()
        const all = yield* Effect.forEach(Array.from({ length: 32 }), () => claim(alert), { concurrency: "unbounded" })
        assert.strictEqual(all.filter((mine) => mine).length, 1)
        assert.isFalse(yield* claim(alert))
      })
    )

    it.effect("tells agents, caps and UTC days apart (WHK-03)", () =>
      Effect.gen(function* () {
        const { claim } = yield* BudgetAlertStore
        const alert = daily()
        assert.isTrue(yield* claim(alert))
        assert.isTrue(yield* claim({ ...alert, agentId: newAgent() }))
        assert.isTrue(yield* claim({ ...alert, cap: "perAgentTokensDaily" }))
        assert.isTrue(yield* claim({ ...alert, day: "2026-11-22" }))
        assert.isFalse(yield* claim(alert))
      })
    )

    it.effect("sends one alert a day about a cap of sessions, and never another of a session that stayed above", () =>
      Effect.gen(function* () {
        const { claim } = yield* BudgetAlertStore
        const [first, second, none] = [newSession(), newSession(), ""]
        const alert = { ...daily(), cap: "perSessionUsd", session: first } as const
        assert.isTrue(yield* claim(alert))
        assert.isFalse(yield* claim(alert))
        assert.isFalse(yield* claim({ ...alert, session: second }))
        const tomorrow = { ...alert, day: "2026-11-22" }
        assert.isFalse(yield* claim(tomorrow))
        assert.isFalse(yield* claim({ ...tomorrow, session: second }))
        assert.isTrue(yield* claim({ ...tomorrow, session: none }))
        assert.isFalse(yield* claim({ ...tomorrow, session: newSession() }))
      })
    )

    it.effect("takes whatever a session may be called", () =>
      Effect.gen(function* () {
        const { claim } = yield* BudgetAlertStore
        for (const [i, session] of ["a\u0000b", "\ud800", "'; --", "s:d:2026-11-21"].entries()) {
          const alert = { ...daily(`2026-11-2${i}`), cap: "perSessionUsd", session } as const
          assert.deepStrictEqual([yield* claim(alert), yield* claim(alert)], [true, false])
        }
      })
    )
  })
