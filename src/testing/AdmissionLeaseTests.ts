/** What time does to tickets, sessions and days (BEY-06, CST-02, U-09). */
import { assert, type Vitest } from "@effect/vitest"
import { Effect } from "effect"
import { AdmissionStore } from "../services/AdmissionStore.ts"
import { CostStore } from "../services/CostStore.ts"
import {
  enrolled,
  exactly,
  micro,
  newSession,
  newTicket,
  request,
  type StoreClock,
  type Stores,
  spent,
  withBudget
} from "./StoreSet.ts"

export const leaseTests = (it: Vitest.MethodsNonLive<Stores>, { advance, clock }: StoreClock) => {
  const lease = clock === "test" ? 60_000 : 250

  it.effect("lists open tickets once their lease has ended, with what the sweep needs (BEY-06, U-02)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const agentId = yield* enrolled
      const sessionId = newSession()
      const ask = request(agentId, { sessionId, leaseMs: lease, hold: exactly(micro(4), 5n) })
      yield* store.admit(ask)
      const mine = Effect.map(store.expired(1000), (all) => all.filter((ticket) => ticket.agentId === agentId))
      assert.deepStrictEqual(yield* mine, [])
      yield* advance(lease + 50)
      const found = yield* mine
      assert.deepStrictEqual(
        found.map((ticket) => ({ ...ticket, openedAtMs: Number.isFinite(ticket.openedAtMs) })),
        [
          {
            ...{ ticket: ask.ticket, root: agentId, agentId, sessionId, openedAtMs: true },
            ...{ heldUsd: micro(4), heldTokens: 5n, facts: ask.facts }
          }
        ]
      )
      yield* store.settle(agentId, ask.ticket, { _tag: "Orphaned" })
      assert.deepStrictEqual(yield* mine, [])
    })
  )

  it.effect("keeps holding after the lease has ended: only a settlement moves money (DEC-07, U-02)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const agentId = yield* withBudget({ perAgentUsdDaily: "0.000001" })
      const ask = request(agentId, { leaseMs: lease })
      yield* store.admit(ask)
      yield* advance(lease + 50)
      assert.strictEqual((yield* store.admit(request(agentId)))._tag, "Short")
      yield* store.settle(agentId, ask.ticket, { _tag: "Orphaned" })
      assert.strictEqual((yield* store.admit(request(agentId)))._tag, "Short")
    })
  )

  it.effect("renews a lease while the ticket is open, and not after (BEY-07)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const agentId = yield* enrolled
      const ask = request(agentId, { leaseMs: lease })
      yield* store.admit(ask)
      assert.isTrue(yield* store.renew(agentId, ask.ticket, 600_000))
      yield* advance(lease + 50)
      const open = yield* store.expired(1000)
      assert.isFalse(open.some(({ ticket }) => ticket === ask.ticket))
      yield* store.settle(agentId, ask.ticket, spent(1n))
      assert.isFalse(yield* store.renew(agentId, ask.ticket, 600_000))
      assert.isFalse(yield* store.renew(agentId, newTicket(), 600_000))
    })
  )

  it.effect("returns the oldest expired tickets first, and no more than asked for", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const agentId = yield* enrolled
      const asks = Array.from({ length: 3 }, () => request(agentId, { leaseMs: 1 }))
      for (const ask of asks) {
        yield* store.admit(ask)
        yield* advance(5)
      }
      yield* advance(50)
      assert.strictEqual((yield* store.expired(2)).length, 2)
      const mine = (yield* store.expired(10_000)).filter((ticket) => ticket.agentId === agentId)
      assert.deepStrictEqual(
        mine.map(({ ticket }) => ticket),
        asks.map(({ ticket }) => ticket)
      )
      yield* Effect.forEach(asks, ({ ticket }) => store.settle(agentId, ticket, { _tag: "Orphaned" }))
    })
  )

  it.effect("refuses calls of a session that has used up its time, counted from its first call (CST-02)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const agentId = yield* withBudget({ perSessionSeconds: 2 })
      const sessionId = newSession()
      const ask = () => store.admit(request(agentId, { sessionId }))
      if (clock === "test") yield* advance(5_000)
      assert.strictEqual((yield* ask())._tag, "Admitted")
      yield* advance(1_100)
      assert.strictEqual((yield* ask())._tag, "Admitted")
      yield* advance(950)
      const late = yield* ask()
      assert.deepStrictEqual(late, {
        _tag: "Short",
        short: { cap: "perSessionSeconds", policyOf: agentId, limit: 2n, used: 2n },
        requested: 0n
      })
      assert.strictEqual((yield* store.admit(request(agentId, { sessionId: newSession() })))._tag, "Admitted")
    })
  )

  // What follows takes hours of the store's clock.
  if (clock === "database") return

  it.effect("starts a new day at midnight UTC and charges a call to the day it began on (U-09, OQ-32)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const costs = yield* CostStore
      const agentId = yield* withBudget({ perAgentUsdDaily: "0.000001" })
      const { day } = yield* costs.snapshot(agentId, null)
      const ask = request(agentId)
      yield* store.admit(ask)
      assert.strictEqual((yield* store.admit(request(agentId)))._tag, "Short")
      yield* advance(86_400_000)
      const next = yield* store.admit(request(agentId, { sessionId: newSession() }))
      assert.strictEqual(next._tag, "Admitted")
      if (next._tag === "Admitted") assert.notStrictEqual(next.day, day)
      yield* store.settle(agentId, ask.ticket, spent(micro(50)))
      assert.strictEqual((yield* costs.snapshot(agentId, null)).dailyUsd, 0n)
    })
  )

  it.effect("forgets a settled ticket 24 hours after its outcome and an open one never (design 5)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const agentId = yield* enrolled
      const [closed, open] = [request(agentId), request(agentId)]
      yield* store.admit(closed)
      yield* store.admit(open)
      yield* store.settle(agentId, closed.ticket, spent(1n))
      yield* advance(86_399_000)
      yield* store.forget(10_000)
      assert.strictEqual((yield* store.settle(agentId, closed.ticket, spent(1n))).outcome, "already")
      yield* advance(2_000)
      assert.isTrue((yield* store.forget(10_000)) >= 1)
      assert.strictEqual((yield* store.settle(agentId, closed.ticket, spent(1n))).outcome, "unknown")
      assert.strictEqual((yield* store.settle(agentId, open.ticket, spent(1n))).outcome, "settled")
    })
  )

  it.effect(
    "keeps an orphan for 24 hours from its late outcome on, and what closed meanwhile no longer for it (design 5)",
    () =>
      Effect.gen(function* () {
        const store = yield* AdmissionStore
        const agentId = yield* enrolled
        const [late, after] = [request(agentId), request(agentId)]
        yield* store.admit(late)
        yield* store.settle(agentId, late.ticket, { _tag: "Orphaned" })
        yield* store.admit(after)
        yield* store.settle(agentId, after.ticket, spent(1n))
        yield* advance(43_200_000)
        assert.strictEqual((yield* store.settle(agentId, late.ticket, spent(2n))).outcome, "late")
        yield* advance(43_201_000)
        yield* store.forget(10_000)
        assert.strictEqual((yield* store.settle(agentId, late.ticket, spent(2n))).outcome, "already")
        assert.strictEqual((yield* store.settle(agentId, after.ticket, spent(1n))).outcome, "unknown")
        yield* advance(43_200_000)
        yield* store.forget(10_000)
        assert.strictEqual((yield* store.settle(agentId, late.ticket, spent(2n))).outcome, "unknown")
      })
  )
}
