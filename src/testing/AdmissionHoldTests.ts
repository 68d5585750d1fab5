/** What admission holds and refuses: caps, first verdicts, the path of delegation (DEC-07, BEY-01, U-*). */
import { assert, type Vitest } from "@effect/vitest"
import { Effect } from "effect"
import { AdmissionStore } from "../services/AdmissionStore.ts"
import {
  delegateOf,
  enrolled,
  exactly,
  micro,
  newSession,
  newTicket,
  policy,
  request,
  type Stores,
  spent,
  tags,
  withBudget
} from "./StoreSet.ts"

export const holdTests = (it: Vitest.MethodsNonLive<Stores>) => {
  it.effect("admits exactly 10 of 256 concurrent callers on a budget for 10 (BEY-01, U-01, CST-18)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const agentId = yield* withBudget({ perSessionUsd: "0.00001" })
      const verdicts = yield* Effect.forEach(Array.from({ length: 256 }), () => store.admit(request(agentId)), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(tags(verdicts), { admitted: 10, short: 246 })
    })
  )

  for (const [cap, body] of [
    ["perSessionUsd", { perSessionUsd: "0.000002" }],
    ["perSessionTokens", { perSessionTokens: 2 }],
    ["perAgentUsdDaily", { perAgentUsdDaily: "0.000002" }],
    ["perAgentTokensDaily", { perAgentTokensDaily: 2 }]
  ] as const) {
    it.effect(`holds on ${cap} and says which cap is short, with limit, used and requested (BEY-01, CST-01)`, () =>
      Effect.gen(function* () {
        const store = yield* AdmissionStore
        const agentId = yield* withBudget(body)
        const sessionId = newSession()
        const one = yield* store.admit(request(agentId, { sessionId }))
        yield* store.admit(request(agentId, { sessionId }))
        const three = yield* store.admit(request(agentId, { sessionId }))
        const unit = cap.includes("Usd") ? 1000n : 1n
        assert.strictEqual(one._tag, "Admitted")
        assert.deepStrictEqual(three, {
          _tag: "Short",
          short: { cap, policyOf: agentId, limit: 2n * unit, used: 2n * unit },
          requested: unit
        })
      })
    )
  }

  it.effect("keeps session caps apart by session and lets the daily cap bind them all (U-13)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const agentId = yield* withBudget({ perSessionUsd: "0.000001", perAgentUsdDaily: "0.000003" })
      const verdicts = yield* Effect.forEach(Array.from({ length: 5 }), () =>
        store.admit(request(agentId, { sessionId: newSession() }))
      )
      assert.deepStrictEqual(tags(verdicts), { admitted: 3, short: 2 })
    })
  )

  it.effect("lets calls without a session share one, so that leaving it out escapes no session cap (U-13)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const agentId = yield* withBudget({ perSessionUsd: "0.000001" })
      const verdicts = yield* Effect.forEach([1, 2], () => store.admit(request(agentId, { sessionId: null })))
      assert.deepStrictEqual(tags(verdicts), { admitted: 1, short: 1 })
    })
  )

  it.effect("admits without limit where no budget is registered (OQ-20)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const agentId = yield* enrolled
      const verdict = yield* store.admit(request(agentId, { hold: exactly(10n ** 15n, 10n ** 9n) }))
      assert.strictEqual(verdict._tag, "Admitted")
    })
  )

  it.effect("refuses what takes nothing from a cap once that cap is reached, and not before (CST-03)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const agentId = yield* withBudget({ perSessionTokens: 5 })
      const free = () => store.admit(request(agentId, { hold: exactly(0n) }))
      assert.strictEqual((yield* free())._tag, "Admitted")
      assert.strictEqual((yield* store.admit(request(agentId, { hold: exactly(0n, 5n) })))._tag, "Admitted")
      assert.strictEqual((yield* free())._tag, "Short")
      assert.strictEqual((yield* store.admit(request(agentId, { hold: exactly(1n) })))._tag, "Short")
    })
  )

  it.effect("takes the smallest remainder whole when the worst case is unknown, so the call runs alone (DEC-21)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const agentId = yield* withBudget({
        perSessionUsd: "0.00001",
        perAgentUsdDaily: "0.00002",
        perAgentTokensDaily: 70
      })
      yield* store.admit(request(agentId, { hold: exactly(micro(4), 20n) }))
      const ticket = newTicket()
      const alone = yield* store.admit(request(agentId, { ticket, hold: { _tag: "Remaining" } }))
      assert.strictEqual(alone._tag, "Admitted")
      if (alone._tag === "Admitted") assert.deepStrictEqual([alone.heldUsd, alone.heldTokens], [micro(6), 50n])
      assert.strictEqual((yield* store.admit(request(agentId, { hold: { _tag: "Remaining" } })))._tag, "Short")
      assert.strictEqual((yield* store.admit(request(agentId, { hold: exactly(0n) })))._tag, "Short")
      yield* store.settle(agentId, ticket, spent(micro(1), 10n))
      const next = yield* store.admit(request(agentId, { hold: { _tag: "Remaining" } }))
      if (next._tag === "Admitted") assert.deepStrictEqual([next.heldUsd, next.heldTokens], [micro(5), 40n])
      assert.strictEqual(next._tag, "Admitted")
    })
  )

  it.effect("returns the first verdict for a ticket it knows and holds only once (DEC-21, U-03)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const agentId = yield* withBudget({ perSessionUsd: "0.000002" })
      const ask = request(agentId)
      const verdicts = yield* Effect.forEach(Array.from({ length: 20 }), () => store.admit(ask), {
        concurrency: "unbounded"
      })
      for (const verdict of verdicts) assert.deepStrictEqual(verdict, verdicts[0])
      assert.strictEqual((yield* store.admit(request(agentId)))._tag, "Admitted")
    })
  )

  it.effect("returns a first refusal again, even when there would be room by now (DEC-21)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const agentId = yield* withBudget({ perSessionUsd: "0.000001" })
      const first = request(agentId)
      yield* store.admit(first)
      const refused = request(agentId)
      const before = yield* store.admit(refused)
      yield* store.settle(agentId, first.ticket, { _tag: "Refused" })
      assert.strictEqual(before._tag, "Short")
      assert.deepStrictEqual(yield* store.admit(refused), before)
      assert.strictEqual((yield* store.admit(request(agentId)))._tag, "Admitted")
    })
  )

  it.effect("reads caps from the stored policy at every admission, raised or lowered (DEC-07, BEY-01)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const agentId = yield* withBudget({ perSessionUsd: "0.000001" })
      const ask = () => Effect.map(store.admit(request(agentId)), ({ _tag }) => _tag)
      assert.deepStrictEqual([yield* ask(), yield* ask()], ["Admitted", "Short"])
      yield* policy(agentId, "budget", { perSessionUsd: "0.000002" })
      assert.deepStrictEqual([yield* ask(), yield* ask()], ["Admitted", "Short"])
      yield* policy(agentId, "budget", { perSessionUsd: "0.000001" })
      assert.strictEqual(yield* ask(), "Short")
    })
  )

  it.effect("never admits a call under a root that is not the agent's (DEC-07)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const root = yield* withBudget({ perSessionUsd: "0" })
      const other = yield* enrolled
      const child = yield* delegateOf(root)
      const error = yield* Effect.flip(store.admit(request(child, { root: other })))
      assert.strictEqual(error._tag, "StoreError")
    })
  )
}
