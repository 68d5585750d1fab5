/** How a ticket ends: once, late, or never reported (DEC-07, BEY-06, U-02, U-03). */
import { assert, type Vitest } from "@effect/vitest"
import { Effect } from "effect"
import { AdmissionStore } from "../services/AdmissionStore.ts"
import { CostStore } from "../services/CostStore.ts"
import { enrolled, exactly, micro, newTicket, request, type Stores, spent, withBudget } from "./StoreSet.ts"

export const settlementTests = (it: Vitest.MethodsNonLive<Stores>) => {
  it.effect("replaces a hold by what was spent, so the rest can be used again (DEC-07)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const agentId = yield* withBudget({ perSessionUsd: "0.00001" })
      const ask = request(agentId, { hold: exactly(micro(10)) })
      yield* store.admit(ask)
      assert.strictEqual((yield* store.admit(request(agentId)))._tag, "Short")
      assert.deepStrictEqual(yield* store.settle(agentId, ask.ticket, spent(micro(3), 7n)), {
        usd: micro(3),
        tokens: 7n,
        outcome: "settled"
      })
      assert.strictEqual((yield* store.admit(request(agentId, { hold: exactly(micro(7)) })))._tag, "Admitted")
    })
  )

  it.effect("charges once, however often and at once a ticket is settled (U-03)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const costs = yield* CostStore
      const agentId = yield* enrolled
      const ask = request(agentId)
      yield* store.admit(ask)
      const all = yield* Effect.forEach(
        Array.from({ length: 30 }, (_, i) => i + 1),
        (n) => store.settle(agentId, ask.ticket, spent(micro(n))),
        {
          concurrency: "unbounded"
        }
      )
      const first = all.filter(({ outcome }) => outcome === "settled")
      assert.strictEqual(first.length, 1)
      for (const each of all) assert.strictEqual(each.usd, first[0]!.usd)
      assert.strictEqual(all.filter(({ outcome }) => outcome === "already").length, 29)
      assert.strictEqual((yield* costs.snapshot(agentId, null)).sessionUsd, first[0]!.usd)
    })
  )

  it.effect("gives a hold back when the call never started (BEY-01: no false denial)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const costs = yield* CostStore
      const agentId = yield* withBudget({ perSessionUsd: "0.000001" })
      const ask = request(agentId)
      yield* store.admit(ask)
      assert.deepStrictEqual(yield* store.settle(agentId, ask.ticket, { _tag: "Refused" }), {
        usd: micro(0),
        tokens: 0n,
        outcome: "settled"
      })
      const after = yield* costs.snapshot(agentId, null)
      assert.deepStrictEqual([after.sessionUsd, after.heldUsd], [micro(0), micro(0)])
    })
  )

  it.effect("charges the hold when a call ran and reported nothing (DEC-07)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const agentId = yield* enrolled
      const ask = request(agentId, { hold: exactly(micro(9), 90n) })
      yield* store.admit(ask)
      const settled = yield* store.settle(agentId, ask.ticket, { _tag: "Held", resultHash: null })
      assert.deepStrictEqual(settled, { usd: micro(9), tokens: 90n, outcome: "settled" })
    })
  )

  it.effect("records more than was held and refuses the next call (U-04)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const agentId = yield* withBudget({ perSessionUsd: "0.000005" })
      const ask = request(agentId)
      yield* store.admit(ask)
      yield* store.settle(agentId, ask.ticket, spent(micro(12)))
      const next = yield* store.admit(request(agentId))
      assert.strictEqual(next._tag, "Short")
      if (next._tag === "Short") assert.strictEqual(next.short.used, micro(12))
    })
  )

  it.effect("charges an orphan what it held and lets its late outcome correct that once (U-02, BEY-06)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const costs = yield* CostStore
      const agentId = yield* enrolled
      const ask = request(agentId, { hold: exactly(micro(8), 80n) })
      yield* store.admit(ask)
      const outcomes = []
      for (const settlement of [
        { _tag: "Orphaned" },
        { _tag: "Orphaned" },
        spent(micro(3), 30n),
        spent(micro(5)),
        { _tag: "Orphaned" }
      ] as const) {
        const { outcome, usd } = yield* store.settle(agentId, ask.ticket, settlement)
        outcomes.push([outcome, usd])
      }
      assert.deepStrictEqual(outcomes, [
        ["settled", micro(8)],
        ["already", micro(8)],
        ["late", micro(3)],
        ["already", micro(3)],
        ["already", micro(3)]
      ])
      const after = yield* costs.snapshot(agentId, null)
      assert.deepStrictEqual(
        [after.sessionUsd, after.dailyUsd, after.sessionTokens, after.heldUsd],
        [micro(3), micro(3), 30n, micro(0)]
      )
      assert.deepStrictEqual(yield* costs.breakdown(agentId), [{ model: "gpt-4o", usd: micro(3), tokens: 30n }])
    })
  )

  it.effect("frees an orphan's charge when it turns out that the call never started (U-02)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const agentId = yield* withBudget({ perSessionUsd: "0.000001" })
      const ask = request(agentId)
      yield* store.admit(ask)
      yield* store.settle(agentId, ask.ticket, { _tag: "Orphaned" })
      assert.strictEqual((yield* store.admit(request(agentId)))._tag, "Short")
      assert.strictEqual((yield* store.settle(agentId, ask.ticket, { _tag: "Refused" })).outcome, "late")
      assert.strictEqual((yield* store.admit(request(agentId)))._tag, "Admitted")
    })
  )

  it.effect("knows no ticket that was never admitted, nor another tree's (U-03)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const agentId = yield* enrolled
      const other = yield* enrolled
      const ask = request(agentId)
      yield* store.admit(ask)
      assert.strictEqual((yield* store.settle(agentId, newTicket(), spent(1n))).outcome, "unknown")
      assert.strictEqual((yield* store.settle(other, ask.ticket, spent(1n))).outcome, "unknown")
      assert.strictEqual((yield* store.settle(agentId, ask.ticket, spent(2n))).outcome, "settled")
    })
  )

  it.effect("charges nothing when a refused ticket is settled (U-07)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const costs = yield* CostStore
      const agentId = yield* withBudget({ perSessionUsd: "0" })
      const ask = request(agentId)
      assert.strictEqual((yield* store.admit(ask))._tag, "Short")
      yield* store.settle(agentId, ask.ticket, spent(micro(1)))
      assert.strictEqual((yield* costs.snapshot(agentId, null)).sessionUsd, 0n)
    })
  )

  it.effect("keeps spent plus held within the cap at every moment of a random history (BEY-01, I4)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const costs = yield* CostStore
      const agentId = yield* withBudget({ perSessionUsd: "0.00005" })
      const worker = (seed: number) =>
        Effect.gen(function* () {
          let state = seed
          for (let turn = 0; turn < 12; turn++) {
            state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
            const worst = BigInt(1 + (state % 9)) * 1000n
            const ask = request(agentId, { hold: exactly(worst) })
            const verdict = yield* store.admit(ask)
            const seen = yield* costs.snapshot(agentId, null)
            assert.isTrue(seen.caps.every(({ limit, used }) => used <= limit))
            if (verdict._tag !== "Admitted") continue
            const fate = state % 4
            yield* store.settle(
              agentId,
              ask.ticket,
              fate === 0 ? { _tag: "Refused" } : fate === 1 ? { _tag: "Orphaned" } : spent(worst / 2n)
            )
          }
        })
      yield* Effect.forEach(
        Array.from({ length: 8 }, (_, i) => 17 + i * 7919),
        worker,
        { concurrency: "unbounded" }
      )
      const end = yield* costs.snapshot(agentId, null)
      assert.strictEqual(end.heldUsd, 0n)
      assert.isTrue(end.sessionUsd > 0n && end.sessionUsd <= micro(50))
    })
  )
}
