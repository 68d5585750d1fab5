/** How admission uses an approval up: once, with the ticket, and only as it was granted (BEY-02, T-05, T-07, T-18). */
import { assert, type Vitest } from "@effect/vitest"
import { Effect } from "effect"
import { AdmissionStore } from "../services/AdmissionStore.ts"
import { GateStore } from "../services/GateStore.ts"
import { PresenceStore } from "../services/PresenceStore.ts"
import { granted, hashB, newRequest, open, opening } from "./GateSet.ts"
import {
  delegateOf,
  enrolled,
  exactly,
  micro,
  operator,
  policy,
  request,
  type StoreClock,
  type Stores,
  tags
} from "./StoreSet.ts"

export const approvalTests = (it: Vitest.MethodsNonLive<Stores>, { advance, clock }: StoreClock) => {
  it.effect("lets one of many callers use a grant, and writes whose ticket it was (BEY-02, T-07)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const gates = yield* GateStore
      const { agentId, approval, gate } = yield* granted()
      const requests = Array.from({ length: 20 }, () => request(agentId, { approval }))
      const verdicts = yield* Effect.forEach(requests, (one) => store.admit(one), { concurrency: "unbounded" })
      assert.strictEqual(tags(verdicts).admitted, 1)
      assert.strictEqual(verdicts.filter(({ _tag }) => _tag === "Unapproved").length, 19)
      const view = yield* gates.read(gate.requestId)
      const winner = requests[verdicts.findIndex(({ _tag }) => _tag === "Admitted")]
      assert.deepStrictEqual([view?.gate.state, view?.gate.ticket], ["consumed", winner?.ticket])
    })
  )

  it.effect("answers a ticket that used its grant with its first verdict, however often it is asked (I5)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const { agentId, approval } = yield* granted()
      const asked = request(agentId, { approval })
      const first = yield* store.admit(asked)
      assert.strictEqual(first._tag, "Admitted")
      assert.deepStrictEqual(yield* store.admit(asked), first)
    })
  )

  it.effect(
    "holds nothing and uses nothing where MAC, action, agent, request or state is another (T-05, T-09, T-18)",
    () =>
      Effect.gen(function* () {
        const store = yield* AdmissionStore
        const gates = yield* GateStore
        const { agentId, approval, gate } = yield* granted()
        const stranger = yield* enrolled
        const delegate = yield* delegateOf(agentId)
        const pending = yield* open(opening(agentId, { matchKey: "other" }))
        for (const asked of [
          request(agentId, { approval: { ...approval, mac: "mad" } }),
          request(agentId, { approval: { ...approval, actionHash: hashB } }),
          request(agentId, { approval: { ...approval, requestId: newRequest() } }),
          request(agentId, { approval: { ...approval, requestId: pending.requestId } }),
          request(stranger, { approval }),
          request(delegate, { root: agentId, approval })
        ]) {
          assert.deepStrictEqual(yield* store.admit(asked), { _tag: "Unapproved" })
        }
        assert.strictEqual((yield* gates.read(gate.requestId))?.gate.state, "granted")
        assert.strictEqual((yield* store.admit(request(agentId, { approval })))._tag, "Admitted")
      })
  )

  it.effect("keeps the grant where halt, budget or loop refuse the call (DEC-10, BEY-01)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const gates = yield* GateStore
      const presence = yield* PresenceStore
      const { agentId, approval, gate } = yield* granted()
      yield* policy(agentId, "budget", { perSessionUsd: "0.000001" })
      const tooMuch = request(agentId, { approval, hold: exactly(micro(2)) })
      assert.strictEqual((yield* store.admit(tooMuch))._tag, "Short")
      yield* presence.halt({ agentId, haltedBy: operator, reason: "stop" })
      assert.strictEqual((yield* store.admit(request(agentId, { approval })))._tag, "Halted")
      yield* presence.resume(agentId)
      assert.strictEqual((yield* gates.read(gate.requestId))?.gate.state, "granted")
      assert.strictEqual((yield* store.admit(request(agentId, { approval })))._tag, "Admitted")
    })
  )

  it.effect("does not take a grant whose time is over by the store's clock (T-04)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const { agentId, approval } = yield* granted({ expiresAfterMs: 300 })
      yield* advance(400)
      assert.deepStrictEqual(yield* store.admit(request(agentId, { approval })), { _tag: "Unapproved" })
    })
  )

  it.effect("tells the sweep which approval a call had that nobody knows the end of (T-07)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const { agentId, approval, gate } = yield* granted()
      const asked = request(agentId, { approval, leaseMs: 50 })
      yield* store.admit({ ...asked, facts: { ...asked.facts, approval: gate.requestId } })
      yield* advance(100)
      const found = (yield* store.expired(1000)).find(({ ticket }) => ticket === asked.ticket)
      assert.strictEqual(found?.facts.approval, gate.requestId)
    })
  )

  it.effect(
    "tells the next reviewer what became of the call that used it, also when its ticket is long forgotten (T-07)",
    () =>
      Effect.gen(function* () {
        const store = yield* AdmissionStore
        const gates = yield* GateStore
        const ends = [
          [{ _tag: "Held", resultHash: null }, "completed"],
          [{ _tag: "Refused" }, "not_run"],
          [{ _tag: "Orphaned" }, "unknown"]
        ] as const
        const agents = yield* Effect.forEach(ends, ([settlement]) =>
          Effect.gen(function* () {
            const { agentId, approval } = yield* granted({ expiresAfterMs: 200_000_000 })
            const asked = request(agentId, { approval })
            yield* store.admit(asked)
            yield* open(opening(agentId, { expiresAfterMs: 200_000_000 }))
            yield* store.settle(agentId, asked.ticket, settlement)
            return agentId
          })
        )
        const outcomes = Effect.forEach(agents, (agentId) =>
          Effect.map(gates.list({ agentId, which: "pending", limit: 10 }), ([first]) => first?.earlierOutcome)
        )
        const expected: ReadonlyArray<unknown> = ends.map(([, outcome]) => outcome)
        assert.deepStrictEqual<ReadonlyArray<unknown>>(yield* outcomes, expected)
        // A database's day takes a day.
        if (clock === "database") return
        yield* advance(86_401_000)
        yield* store.forget(10_000)
        assert.deepStrictEqual<ReadonlyArray<unknown>>(yield* outcomes, expected)
      })
  )
}
