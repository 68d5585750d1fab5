/** The contract of `GateStore`: every backing must pass it (GAT-*, DEC-21, BEY-10, T-02 to T-04, T-12, T-17). */
import { assert, describe } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { AdmissionStore } from "../services/AdmissionStore.ts"
import { GateStore } from "../services/GateStore.ts"
import { PresenceStore } from "../services/PresenceStore.ts"
import { ada, bob, decision, granted, hashB, newRequest, open, opening } from "./GateSet.ts"
import {
  delegateOf,
  describeStores,
  enrolled,
  policy,
  request,
  type StoreClock,
  type Stores,
  testClock
} from "./StoreSet.ts"

const many = Array.from({ length: 20 }, (_, i) => i)

/** Registers the tests; `stores` MUST build all stores over one state. */
export const suite = <E>(name: string, stores: Layer.Layer<Stores, E>, clock: StoreClock = testClock) => {
  const { advance } = clock
  describe(`GateStore (${name})`, () => {
    describeStores("requests", stores, clock, (it) => {
      it.effect(
        "makes one request of many askers with the same key, and finds it until it is resolved (BEY-10, DEC-21)",
        () =>
          Effect.gen(function* () {
            const store = yield* GateStore
            const agentId = yield* enrolled
            const opened = yield* Effect.forEach(many, () => store.open(opening(agentId)), { concurrency: "unbounded" })
            assert.strictEqual(opened.filter(({ _tag }) => _tag === "Opened").length, 1)
            const ids = new Set(opened.map((one) => (one._tag === "Full" ? "" : one.gate.requestId)))
            assert.strictEqual(ids.size, 1)
            const gate = yield* open(opening(agentId))
            yield* store.decide(decision(gate))
            assert.deepStrictEqual([(yield* open(opening(agentId))).requestId], [gate.requestId])
            const other = yield* open(opening(agentId, { matchKey: "another" }))
            assert.notStrictEqual(other.requestId, gate.requestId)
          })
      )

      it.effect("returns what was asked, with its own times, and the operators of the whole path (ATH-07, C-25)", () =>
        Effect.gen(function* () {
          const store = yield* GateStore
          const presence = yield* PresenceStore
          const root = yield* enrolled
          const child = yield* delegateOf(root)
          yield* presence.heartbeat({ agentId: root, status: "live", operatorId: ada, metadata: null })
          const asked = opening(child, { root, quorum: 2, expiresAfterMs: 5000 })
          const gate = yield* open(asked)
          const { createdAtMs, expiresAtMs, ...rest } = gate
          assert.strictEqual(expiresAtMs - createdAtMs, 5000)
          const { expiresAfterMs: _, maxPending: __, ...same } = asked
          assert.deepStrictEqual(rest, {
            ...same,
            ...{ state: "pending", decidedAtMs: null, operators: [ada], reviewer: null, approvers: [] },
            ...{ decisionMac: null, approvedHash: null, editedPayload: null, ticket: null, earlier: null }
          })
          yield* presence.heartbeat({ agentId: child, status: "live", operatorId: bob, metadata: null })
          yield* policy(root, "gate", { requireApproval: ["refund"], quorum: 2 })
          const view = yield* store.read(gate.requestId)
          assert.deepStrictEqual(view?.gate, gate)
          assert.deepStrictEqual([view?.operatorsNow, view?.votes], [[ada, bob], []])
          assert.deepStrictEqual(view?.policies, [{ requireApproval: ["refund"], quorum: 2 }])
          assert.isNull(yield* store.read(newRequest()))
        })
      )

      it.effect("stops at the cap of pending requests and counts none that are over (T-12)", () =>
        Effect.gen(function* () {
          const store = yield* GateStore
          const agentId = yield* enrolled
          const ask = (i: number) =>
            store.open(opening(agentId, { matchKey: `${i}`, maxPending: 5, expiresAfterMs: 400 }))
          const opened = yield* Effect.forEach(many, ask, { concurrency: "unbounded" })
          assert.strictEqual(opened.filter(({ _tag }) => _tag === "Opened").length, 5)
          assert.deepStrictEqual(
            opened.find(({ _tag }) => _tag === "Full"),
            { _tag: "Full", pending: 5 }
          )
          yield* advance(500)
          assert.strictEqual((yield* ask(99))._tag, "Opened")
        })
      )

      it.effect("does not take a request under a root that is not the agent's", () =>
        Effect.gen(function* () {
          const store = yield* GateStore
          const [agentId, root] = [yield* enrolled, yield* enrolled]
          const error = yield* Effect.flip(store.open(opening(agentId, { root })))
          assert.strictEqual(error.problem, "refused")
        })
      )

      it.effect("names the used approval of the same action, and what became of its call (T-07)", () =>
        Effect.gen(function* () {
          const store = yield* GateStore
          const admission = yield* AdmissionStore
          const { agentId, approval, gate } = yield* granted()
          const ticket = request(agentId, { approval })
          yield* admission.admit(ticket)
          const next = yield* open(opening(agentId))
          assert.strictEqual(next.earlier, gate.requestId)
          const outcome = () =>
            Effect.map(store.list({ agentId, which: "pending", limit: 10 }), ([first]) => first?.earlierOutcome)
          assert.strictEqual(yield* outcome(), "running")
          yield* admission.settle(agentId, ticket.ticket, { _tag: "Orphaned" })
          assert.strictEqual(yield* outcome(), "unknown")
          yield* admission.settle(agentId, ticket.ticket, { _tag: "Held", resultHash: null })
          assert.strictEqual(yield* outcome(), "completed")
        })
      )
    })

    describeStores("decisions", stores, clock, (it) => {
      it.effect("decides once among grants and denials that race, and tells the rest what it is (T-02, T-03)", () =>
        Effect.gen(function* () {
          const store = yield* GateStore
          const gate = yield* open(opening(yield* enrolled))
          const results = yield* Effect.forEach(
            many,
            (i) => store.decide(decision(gate, { decision: i % 2 === 0 ? "granted" : "denied" })),
            { concurrency: "unbounded" }
          )
          assert.strictEqual(results.filter(({ _tag }) => _tag === "Decided").length, 1)
          const state = yield* store.stateOf(gate.requestId)
          const others = results.filter(({ _tag }) => _tag !== "Decided")
          for (const other of others) assert.deepStrictEqual<unknown>(other, { _tag: "Resolved", state })
        })
      )

      it.effect("keeps what was decided: people, MAC, the action that may run and its arguments (BEY-10)", () =>
        Effect.gen(function* () {
          const store = yield* GateStore
          const gate = yield* open(opening(yield* enrolled))
          const made = decision(gate, {
            actionHash: hashB,
            editedPayload: `{"usd":"1"}`,
            approvers: [ada, bob],
            mac: "m"
          })
          assert.deepStrictEqual(yield* store.decide(made), { _tag: "Decided" })
          const after = (yield* store.read(gate.requestId))?.gate
          assert.deepStrictEqual([after?.state, after?.approvers, after?.decisionMac], ["granted", [ada, bob], "m"])
          assert.deepStrictEqual([after?.approvedHash, after?.editedPayload], [hashB, `{"usd":"1"}`])
        })
      )

      it.effect("takes a decision only with the votes it was made on (T-17)", () =>
        Effect.gen(function* () {
          const store = yield* GateStore
          const gate = yield* open(opening(yield* enrolled, { quorum: 2 }))
          const vote = decision(gate, { decision: "vote", mac: "vote of ada" })
          const votes = yield* Effect.forEach(many, (i) => store.decide({ ...vote, approver: i % 2 ? ada : bob }), {
            concurrency: "unbounded"
          })
          assert.strictEqual(votes.filter(({ _tag }) => _tag === "Decided").length, 1)
          assert.strictEqual(votes.filter(({ _tag }) => _tag === "Moved").length, 19)
          const view = yield* store.read(gate.requestId)
          assert.deepStrictEqual([view?.votes.length, view?.votes[0]?.mac], [1, "vote of ada"])
          assert.deepStrictEqual(yield* store.decide(decision(gate, { votes: 0 })), { _tag: "Moved" })
          assert.deepStrictEqual(yield* store.decide(decision(gate, { votes: 1 })), { _tag: "Decided" })
        })
      )

      it.effect("refuses a decision at the moment of expiry and after it, by its own clock (T-04)", () =>
        Effect.gen(function* () {
          const store = yield* GateStore
          const gate = yield* open(opening(yield* enrolled, { expiresAfterMs: 300 }))
          yield* advance(300)
          assert.deepStrictEqual(yield* store.decide(decision(gate)), { _tag: "Expired" })
          assert.strictEqual(yield* store.stateOf(gate.requestId), "expired")
          assert.deepStrictEqual([(yield* store.read(gate.requestId))?.gate.state], ["expired"])
          assert.isTrue(yield* store.expire(gate.root, gate.requestId, false))
          assert.isFalse(yield* store.expire(gate.root, gate.requestId, false))
        })
      )

      it.effect("ends nothing before its time unless it is told to, and then once", () =>
        Effect.gen(function* () {
          const store = yield* GateStore
          const { agentId, gate } = yield* granted()
          assert.isTrue(yield* store.hasGranted(agentId))
          assert.isFalse(yield* store.expire(gate.root, gate.requestId, false))
          assert.isTrue(yield* store.expire(gate.root, gate.requestId, true))
          assert.isFalse(yield* store.expire(gate.root, gate.requestId, true))
          assert.isFalse(yield* store.hasGranted(agentId))
        })
      )

      it.effect("pins a decision to the claim that was read, and lets one of many claim (GAT-10)", () =>
        Effect.gen(function* () {
          const store = yield* GateStore
          const gate = yield* open(opening(yield* enrolled))
          const claims = yield* Effect.forEach(
            many,
            (i) => store.claim(gate.root, gate.requestId, null, i % 2 ? ada : bob),
            {
              concurrency: "unbounded"
            }
          )
          assert.strictEqual(claims.filter((won) => won).length, 1)
          const reviewer = (yield* store.read(gate.requestId))?.gate.reviewer ?? null
          assert.deepStrictEqual(yield* store.decide(decision(gate, { reviewer: null })), { _tag: "Moved" })
          assert.deepStrictEqual(yield* store.decide(decision(gate, { reviewer })), { _tag: "Decided" })
        })
      )

      it.effect("lists what waits, what can be used, or all, and forgets only what is resolved (GAT-12, GAT-13)", () =>
        Effect.gen(function* () {
          const store = yield* GateStore
          const { agentId, gate } = yield* granted({ expiresAfterMs: 400 })
          const waiting = yield* open(opening(agentId, { matchKey: "2", expiresAfterMs: 400 }))
          const ids = (which: "pending" | "granted" | "all") =>
            Effect.map(store.list({ agentId, which, limit: 10 }), (rows) => rows.map((row) => row.gate.requestId))
          assert.deepStrictEqual(yield* ids("pending"), [waiting.requestId])
          assert.deepStrictEqual(yield* ids("granted"), [gate.requestId])
          assert.sameMembers([...(yield* ids("all"))], [gate.requestId, waiting.requestId])
          assert.isTrue(yield* store.hasGranted(agentId))
          yield* advance(500)
          assert.isFalse(yield* store.hasGranted(agentId))
          assert.deepStrictEqual([...(yield* ids("pending")), ...(yield* ids("granted"))], [])
          const mine = (yield* store.overdue(1000)).filter((one) => one.agentId === agentId)
          assert.strictEqual(mine.length, 2)
          for (const one of mine) yield* store.expire(one.root, one.requestId, false)
          yield* advance(20)
          yield* store.forget(10, 10_000)
          assert.deepStrictEqual(yield* ids("all"), [])
        })
      )

      it.effect(
        "forgets no request whose call may still run, or of whose call nobody knows the end (GAT-13, T-07)",
        () =>
          Effect.gen(function* () {
            const store = yield* GateStore
            const admission = yield* AdmissionStore
            const { agentId, approval } = yield* granted({ expiresAfterMs: 300 })
            const used = request(agentId, { approval })
            assert.strictEqual((yield* admission.admit(used))._tag, "Admitted")
            yield* advance(400)
            const left = Effect.gen(function* () {
              yield* store.forget(10, 10_000)
              return (yield* store.list({ agentId, which: "all", limit: 10 })).length
            })
            assert.strictEqual(yield* left, 1)
            yield* admission.settle(agentId, used.ticket, { _tag: "Orphaned" })
            assert.strictEqual(yield* left, 1)
            yield* admission.settle(agentId, used.ticket, { _tag: "Held", resultHash: null })
            assert.strictEqual(yield* left, 0)
          })
      )
    })
  })
}
