/** Halts and loop windows as admission reads them (DEC-10, DEC-20, BEY-09, BEY-15, I6). */
import { assert, type Vitest } from "@effect/vitest"
import { Effect } from "effect"
import { AdmissionStore } from "../services/AdmissionStore.ts"
import { CostStore } from "../services/CostStore.ts"
import { PresenceStore } from "../services/PresenceStore.ts"
import {
  delegateOf,
  enrolled,
  exactly,
  micro,
  newSession,
  operator,
  policy,
  request,
  type StoreClock,
  type Stores,
  spent,
  withBudget
} from "./StoreSet.ts"

export const haltAndLoopTests = (it: Vitest.MethodsNonLive<Stores>, { advance, clock }: StoreClock) => {
  it.effect(
    "refuses a halted agent before everything else, with who, when and why, until it is resumed (DEC-10, CST-16)",
    () =>
      Effect.gen(function* () {
        const store = yield* AdmissionStore
        const presence = yield* PresenceStore
        const agentId = yield* withBudget({ perSessionUsd: "0" })
        const { halt } = yield* presence.halt({ agentId, haltedBy: operator, reason: "wrong customer" })
        assert.deepStrictEqual(yield* store.admit(request(agentId)), { _tag: "Halted", halt })
        yield* presence.resume(agentId)
        assert.strictEqual((yield* store.admit(request(agentId)))._tag, "Short")
      })
  )

  it.effect("refuses every delegate of a halted agent and names the agent that was halted (BEY-09, H-01)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const presence = yield* PresenceStore
      const root = yield* enrolled
      const child = yield* delegateOf(root)
      const grandchild = yield* delegateOf(child)
      const sibling = yield* delegateOf(root)
      yield* presence.halt({ agentId: child, haltedBy: operator, reason: "stop" })
      const below = yield* store.admit(request(grandchild, { root }))
      assert.strictEqual(below._tag, "Halted")
      if (below._tag === "Halted") assert.strictEqual(below.halt.agentId, child)
      assert.strictEqual((yield* store.admit(request(sibling, { root })))._tag, "Admitted")
      assert.strictEqual((yield* store.admit(request(root)))._tag, "Admitted")
    })
  )

  it.effect("admits nothing that is asked after a halt has returned, whatever runs beside it (I6, H-01)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const presence = yield* PresenceStore
      const root = yield* enrolled
      const child = yield* delegateOf(root)
      let halted = false
      const caller = Effect.gen(function* () {
        for (let turn = 0; turn < 10; turn++) {
          const askedAfter = halted
          const verdict = yield* store.admit(request(child, { root }))
          if (askedAfter) assert.strictEqual(verdict._tag, "Halted")
          yield* Effect.yieldNow
        }
      })
      const operatorActs = Effect.gen(function* () {
        yield* Effect.yieldNow
        yield* presence.halt({ agentId: root, haltedBy: operator, reason: "stop" })
        halted = true
      })
      yield* Effect.all([...Array.from({ length: 16 }, () => caller), operatorActs], { concurrency: "unbounded" })
      assert.strictEqual((yield* store.admit(request(child, { root })))._tag, "Halted")
    })
  )

  it.effect("still settles what was running when its agent was halted (H-07)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const presence = yield* PresenceStore
      const agentId = yield* enrolled
      const ask = request(agentId)
      yield* store.admit(ask)
      yield* presence.halt({ agentId, haltedBy: operator, reason: "stop" })
      assert.strictEqual((yield* store.settle(agentId, ask.ticket, spent(micro(1)))).outcome, "settled")
    })
  )

  it.effect(
    "fires when one tool's calls exceed maxCalls within the window, and holds nothing then (DEC-20, LOP-02)",
    () =>
      Effect.gen(function* () {
        const store = yield* AdmissionStore
        const costs = yield* CostStore
        const agentId = yield* enrolled
        yield* policy(agentId, "loop", { windowSeconds: 1, maxCalls: 3, action: "raise" })
        const sessionId = newSession()
        const ask = (tool: string, session = sessionId) =>
          store.admit(request(agentId, { tool, sessionId: session, hold: exactly(0n) }))
        for (let call = 0; call < 3; call++) assert.strictEqual((yield* ask("search"))._tag, "Admitted")
        assert.deepStrictEqual(yield* ask("search"), {
          _tag: "Looping",
          loop: { count: 4, maxCalls: 3, windowSeconds: 1 }
        })
        assert.strictEqual((yield* ask("fetch"))._tag, "Admitted")
        assert.strictEqual((yield* ask("search", newSession()))._tag, "Admitted")
        assert.strictEqual((yield* costs.snapshot(agentId, sessionId)).heldUsd, 0n)
        yield* advance(1_100)
        assert.strictEqual((yield* ask("search"))._tag, "Admitted")
      })
  )

  it.effect("admits exactly maxCalls of many concurrent calls of one tool (DEC-20, BEY-01)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const agentId = yield* enrolled
      yield* policy(agentId, "loop", { windowSeconds: 3600, maxCalls: 7, action: "raise" })
      const ask = () => store.admit(request(agentId, { tool: "search", hold: exactly(0n) }))
      const verdicts = yield* Effect.forEach(Array.from({ length: 40 }), ask, { concurrency: "unbounded" })
      assert.strictEqual(verdicts.filter(({ _tag }) => _tag === "Admitted").length, 7)
      assert.strictEqual(verdicts.filter(({ _tag }) => _tag === "Looping").length, 33)
    })
  )

  it.effect("only says so when the policy logs, and counts a repeated ticket once (LOP-02, DEC-21)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const agentId = yield* enrolled
      yield* policy(agentId, "loop", { windowSeconds: 3600, maxCalls: 1, action: "log" })
      const first = request(agentId, { tool: "search" })
      for (let call = 0; call < 3; call++) {
        const verdict = yield* store.admit(first)
        assert.strictEqual(verdict._tag === "Admitted" ? verdict.loop : "refused", null)
      }
      const second = yield* store.admit(request(agentId, { tool: "search" }))
      assert.deepStrictEqual(second._tag === "Admitted" ? second.loop : null, {
        count: 2,
        maxCalls: 1,
        windowSeconds: 3600
      })
    })
  )

  it.effect(
    "allows maxCalls again once earlier ones have left the window, however many there were (LOP-02, DEC-20)",
    () =>
      Effect.gen(function* () {
        const store = yield* AdmissionStore
        const agentId = yield* enrolled
        yield* policy(agentId, "loop", { windowSeconds: 2, maxCalls: 20 })
        const verdictsOf = (calls: number) =>
          Effect.forEach(Array.from({ length: calls }), () =>
            Effect.map(store.admit(request(agentId, { tool: "search", hold: exactly(0n) })), ({ _tag }) => _tag)
          )
        const admitted = (calls: number) => Array.from({ length: calls }, () => "Admitted")
        assert.deepStrictEqual(yield* verdictsOf(17), admitted(17))
        yield* advance(2100)
        assert.deepStrictEqual(yield* verdictsOf(21), [...admitted(20), "Looping"])
      })
  )

  it.effect("returns the session's last 32 tool calls with their results, oldest first (BEY-15, DEC-21)", () =>
    Effect.gen(function* () {
      const store = yield* AdmissionStore
      const agentId = yield* enrolled
      yield* policy(agentId, "loop", watched)
      const sessionId = newSession()
      for (let call = 0; call < 35; call++) {
        const ask = request(agentId, { sessionId, tool: "search", signature: `s${call}`, hold: exactly(0n) })
        yield* store.admit(ask)
        if (call < 34) yield* store.settle(agentId, ask.ticket, spent(0n, 0n, `r${call}`))
        // Two calls of one millisecond have no order on a database's clock.
        if (clock === "database") yield* Effect.sleep(2)
      }
      yield* store.admit(request(agentId, { sessionId, tool: null, signature: "model" }))
      const last = yield* store.admit(request(agentId, { sessionId, tool: "search", signature: "now" }))
      const recent = last._tag === "Admitted" ? last.recent : []
      assert.deepStrictEqual(
        recent.map((step) => ({ ...step })),
        Array.from({ length: 32 }, (_, i) => ({
          signature: `s${i + 3}`,
          resultHash: i + 3 === 34 ? null : `r${i + 3}`
        }))
      )
    })
  )

  it.effect(
    "leaves out refused and never started calls, and those of other sessions, from the last calls (DEC-21)",
    () =>
      Effect.gen(function* () {
        const store = yield* AdmissionStore
        const agentId = yield* withBudget({ perAgentUsdDaily: "0.00001" })
        yield* policy(agentId, "loop", watched)
        const sessionId = newSession()
        const ask = (signature: string, session = sessionId, usd = 1n) =>
          request(agentId, { sessionId: session, tool: "search", signature, hold: exactly(usd) })
        const never = ask("never")
        yield* store.admit(never)
        yield* store.settle(agentId, never.ticket, { _tag: "Refused" })
        yield* store.admit(ask("short", sessionId, micro(100)))
        yield* store.admit(ask("elsewhere", newSession()))
        yield* store.admit(ask("kept"))
        const last = yield* store.admit(ask("now"))
        assert.deepStrictEqual(last._tag === "Admitted" ? last.recent.map(({ signature }) => signature) : null, [
          "kept"
        ])
      })
  )
}

/** Only a policy that looks at progress needs the last calls. */
const watched = { windowSeconds: 3600, maxCalls: 1000, progress: { maxRepeats: 31, maxCycles: 3, polling: {} } }
