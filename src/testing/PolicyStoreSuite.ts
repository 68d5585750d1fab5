/** The contract of `PolicyStore` (DEC-21, BEY-01). */
import { assert } from "@effect/vitest"
import { Effect, type Layer, type Schema } from "effect"
import type { AgentId } from "../schema/Ids.ts"
import { type PolicyKind, type PolicySource, policyKinds } from "../schema/Policy.ts"
import { PolicyStore } from "../services/PolicyStore.ts"
import { describeStores, newAgent, type StoreClock, type Stores, testClock } from "./StoreSet.ts"

/** Registers the tests; `stores` MUST build all five stores over one state. */
export const suite = <E>(name: string, stores: Layer.Layer<Stores, E>, clock: StoreClock = testClock) =>
  describeStores(`PolicyStore (${name})`, stores, clock, (it) => {
    const put = (agentId: AgentId, kind: PolicyKind, body: Schema.Json, source: PolicySource = "code") =>
      Effect.map(
        PolicyStore.use((store) => store.put({ agentId, kind, body, source })),
        (row) => ({ ...row })
      )
    const stored = (agentId: AgentId) =>
      Effect.map(
        PolicyStore.use((store) => store.all),
        (all) => all.filter((row) => row.agentId === agentId).map((row) => ({ ...row }))
      )
    const dollars = (usd: string) => ({ perSessionUsd: usd })

    it.effect("stores one row per agent and kind, as it was written (DEC-21)", () =>
      Effect.gen(function* () {
        const agentId = newAgent()
        const budget = yield* put(agentId, "budget", { perSessionUsd: "0.50", perSessionTokens: 1000 })
        const scope = yield* put(
          agentId,
          "scope",
          { allowedTools: ["search", "mail.*"], allowedApis: [], hiddenTools: [] },
          "operator"
        )
        assert.deepStrictEqual(budget, {
          ...{ agentId, kind: "budget", source: "code", version: 1 },
          body: { perSessionUsd: "0.50", perSessionTokens: 1000 }
        })
        assert.deepStrictEqual(
          (yield* stored(agentId)).sort((a, b) => (a.kind < b.kind ? -1 : 1)),
          [budget, scope]
        )
      })
    )

    it.effect("takes every kind of policy there is, and gives it back (ROU-01)", () =>
      Effect.gen(function* () {
        const agentId = newAgent()
        const bodies: Readonly<Record<PolicyKind, Schema.Json>> = {
          scope: { allowedTools: [], allowedApis: [], hiddenTools: [] },
          budget: { perSessionUsd: "1", alertThresholdPct: 70 },
          loop: { windowSeconds: 60, maxCalls: 5, action: "raise" },
          gate: { requireApproval: ["pay"] },
          audit: { mode: "required" },
          routing: { mode: "rules", rules: { "gpt-4o": "gpt-4o-mini" } }
        }
        for (const kind of policyKinds) yield* put(agentId, kind, bodies[kind])
        const found = (yield* stored(agentId)).map(({ body, kind }) => [kind, body])
        assert.deepStrictEqual(Object.fromEntries(found), bodies)
      })
    )

    it.effect("raises the version only when body or source change, whatever the order of keys (DEC-21)", () =>
      Effect.gen(function* () {
        const agentId = newAgent()
        const versions = [
          yield* put(agentId, "loop", { windowSeconds: 60, maxCalls: 5, action: "raise" }),
          yield* put(agentId, "loop", { action: "raise", maxCalls: 5, windowSeconds: 60 }),
          yield* put(agentId, "loop", { windowSeconds: 60, maxCalls: 6, action: "raise" }),
          yield* put(agentId, "loop", { windowSeconds: 60, maxCalls: 6, action: "raise" }, "operator"),
          yield* put(agentId, "loop", { windowSeconds: 60, maxCalls: 6, action: "raise" }, "operator")
        ].map(({ version }) => version)
        assert.deepStrictEqual(versions, [1, 1, 2, 3, 3])
      })
    )

    it.effect("lets an operator's row win over code until it is released (DEC-21)", () =>
      Effect.gen(function* () {
        const store = yield* PolicyStore
        const agentId = newAgent()
        yield* put(agentId, "budget", dollars("1"))
        const operators = yield* put(agentId, "budget", dollars("2"), "operator")
        assert.deepStrictEqual(yield* put(agentId, "budget", dollars("3")), operators)
        assert.deepStrictEqual(yield* stored(agentId), [operators])
        assert.isTrue(yield* store.release(agentId, "budget"))
        const [released] = yield* stored(agentId)
        assert.deepStrictEqual([released?.source, released?.body], ["code", dollars("2")])
        const codes = yield* put(agentId, "budget", dollars("3"))
        assert.deepStrictEqual([codes.source, codes.body], ["code", dollars("3")])
        assert.isTrue(codes.version > operators.version)
      })
    )

    it.effect("releases only what an operator holds (DEC-21)", () =>
      Effect.gen(function* () {
        const store = yield* PolicyStore
        const agentId = newAgent()
        assert.isFalse(yield* store.release(agentId, "budget"))
        yield* put(agentId, "budget", dollars("1"))
        assert.isFalse(yield* store.release(agentId, "budget"))
      })
    )

    it.effect("removes a row of either source, once", () =>
      Effect.gen(function* () {
        const store = yield* PolicyStore
        const agentId = newAgent()
        yield* put(agentId, "budget", dollars("1"), "operator")
        yield* put(agentId, "audit", { mode: "required" })
        assert.isTrue(yield* store.remove(agentId, "budget"))
        assert.isFalse(yield* store.remove(agentId, "budget"))
        assert.deepStrictEqual(
          (yield* stored(agentId)).map(({ kind }) => kind),
          ["audit"]
        )
      })
    )

    it.effect("lets an operator win a race against any number of registrations (DEC-21)", () =>
      Effect.gen(function* () {
        const agentId = newAgent()
        yield* Effect.forEach(
          Array.from({ length: 20 }, (_, i) => i),
          (i) =>
            i === 10 ? put(agentId, "budget", dollars("99"), "operator") : put(agentId, "budget", dollars(`${i}`)),
          { concurrency: "unbounded" }
        )
        const [row] = yield* stored(agentId)
        assert.deepStrictEqual([row?.source, row?.body], ["operator", dollars("99")])
      })
    )
  })
