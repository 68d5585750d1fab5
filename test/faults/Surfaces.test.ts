import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit } from "effect"
import { AgentId } from "../../src/schema/Ids.ts"
import { NanoUsd } from "../../src/schema/Money.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Contracts } from "../../src/services/Contracts.ts"
import { Cost } from "../../src/services/Cost.ts"
import { Gates } from "../../src/services/Gates.ts"
import { Governor, governed } from "../../src/services/Governor.ts"
import { Halts } from "../../src/services/Halts.ts"
import { Loop } from "../../src/services/Loop.ts"
import { Policies } from "../../src/services/Policies.ts"
import { Presence } from "../../src/services/Presence.ts"
import { newTicket } from "../../src/services/Rooms.ts"
import { wrongOutcomes } from "../../src/testing/Checkers.ts"
import type { OperationOf } from "../../src/testing/History.ts"
import { freshDatabase, TestDatabase } from "../support/database.ts"
import * as FaultProxy from "./FaultProxy.ts"
import { governance, mustHold } from "./Truth.ts"

/** The promise is 1 s, waiting for a connection included; the rest is for a busy machine, more of it for all surfaces at once. */
const promisedMs = 1500
const matrixNs = 2_000_000_000n

const gone: Record<string, FaultProxy.Fault> = {
  "refuses connections": { refuse: true },
  "is a black hole": { blackHole: "both" }
}

type Kind = OperationOf<"use">["data"]["kind"]

/** Section 39 of the specification, column "store down": how each surface ends, by the tag of its error or `returned`. */
const matrix: ReadonlyArray<readonly [string, Kind, string]> = [
  ["scope.check of a listed tool", "observation", "returned"],
  ["scope.check of another tool", "observation", "ScopeViolation"],
  ["scope.check of a halted agent", "observation", "AgentHaltedError"],
  ["contracts.enforce without a contract", "observation", "returned"],
  ["contracts.enforce of a contract", "enforcement", "StoreError"],
  ["governed call with a contract", "enforcement", "StoreError"],
  ["cost.checkOrFail", "enforcement", "StoreError"],
  ["cost.track", "observation", "returned"],
  ["cost.trackUsage", "observation", "returned"],
  ["cost.trackUsage of an unknown model", "observation", "UnknownModelError"],
  ["cost.reconcile", "observation", "returned"],
  ["cost.snapshot", "observation", "returned"],
  ["audit.log", "observation", "returned"],
  ["audit.require", "enforcement", "StoreError"],
  ["governed call", "enforcement", "StoreError"],
  ["governed call of a stranger", "enforcement", "StoreError"],
  ["governed call of a halted agent", "enforcement", "AgentHaltedError"],
  ["governed call that needs an approval", "enforcement", "StoreError"],
  ["gates.request", "observation", "returned"],
  ["loop.recordCall within the limit", "observation", "returned"],
  ["loop.recordCall above the limit", "observation", "LoopDetected"],
  ["presence.heartbeat", "observation", "returned"],
  ["presence.isHalted", "observation", "returned"],
  ["presence.assertNotHalted of a halted agent", "enforcement", "AgentHaltedError"],
  ["presence.listAgents", "observation", "returned"],
  // An operator's act, not the answer to an agent's wish: it has the driver's bound, not enforcement's.
  ["presence.halt", "observation", "HaltPersistenceError"]
]

const surfaces = Effect.gen(function* () {
  const audit = yield* Audit
  const contracts = yield* Contracts
  const cost = yield* Cost
  const gates = yield* Gates
  const loop = yield* Loop
  const presence = yield* Presence
  const scope = yield* AgentScope
  let ran = 0
  const body = Effect.sync(() => {
    ran++
  })
  const usage = { model: "gpt-4o", inputTokens: 10, outputTokens: 10 }
  const calls: Record<string, Effect.Effect<unknown, { readonly _tag: string }, never>> = {
    "scope.check of a listed tool": scope.check("clerk", { tool: "work" }),
    "scope.check of another tool": scope.check("clerk", { tool: "escape" }),
    "scope.check of a halted agent": scope.check("stopped", { tool: "work" }),
    "contracts.enforce without a contract": contracts.enforce({ agentId: "clerk", tool: "other" })(Effect.void),
    "contracts.enforce of a contract": contracts.enforce({ agentId: "clerk", tool: "bound" })(body),
    "governed call with a contract": body.pipe(governed({ agentId: "clerk", sessionId: "s", tool: "bound" })) as never,
    "cost.checkOrFail": cost.checkOrFail("clerk", "s", { usd: "0.01" }),
    "cost.track": cost.track("clerk", "s", { usd: "0.01", tokens: 1 }),
    "cost.trackUsage": cost.trackUsage("clerk", "s", usage),
    "cost.trackUsage of an unknown model": cost.trackUsage("clerk", "s", { ...usage, model: "nobody-knows" }),
    "cost.reconcile": cost.reconcile(AgentId.make("clerk"), newTicket(), usage),
    "cost.snapshot": cost.snapshot("clerk", "s"),
    "audit.log": Effect.map(audit.log({ kind: "tool.call", agentId: "clerk", sessionId: "log" }), (record) =>
      assert.notStrictEqual(record.status, "placeholder")
    ),
    "audit.require": audit.require({ kind: "tool.call", agentId: "clerk", sessionId: "require" }),
    "governed call": body.pipe(governed({ agentId: "clerk", sessionId: "s", tool: "work" })) as never,
    "governed call of a stranger": body.pipe(governed({ agentId: "stranger", sessionId: "s", tool: "work" })) as never,
    "governed call of a halted agent": body.pipe(governed({ agentId: "stopped", tool: "work" })) as never,
    "governed call that needs an approval": body.pipe(
      governed({ agentId: "clerk", sessionId: "s", tool: "work", approval: { required: true } })
    ) as never,
    "gates.request": Effect.map(gates.request("work", "clerk"), ({ grantable }) => assert.isFalse(grantable)),
    "loop.recordCall within the limit": loop.recordCall("clerk", "r", "work"),
    "loop.recordCall above the limit": Effect.repeat(loop.recordCall("clerk", "t", "work"), { times: 1 }),
    "presence.heartbeat": presence.heartbeat("clerk"),
    "presence.isHalted": presence.isHalted("clerk"),
    "presence.assertNotHalted of a halted agent": presence.assertNotHalted("stopped"),
    "presence.listAgents": presence.listAgents,
    "presence.halt": presence.halt("clerk", { by: "operator", reason: "gone" })
  }
  return { calls, ran: () => ran }
})

const ready = Effect.gen(function* () {
  const policies = yield* Policies
  for (const agent of ["clerk", "stopped", "stranger"])
    yield* policies.register(agent, "scope", { allowedTools: ["work", "bound"] })
  const bound = { agentId: "clerk", tool: "bound", pre: [{ check: "budget_available", message: "no money" }] }
  yield* Effect.flatMap(Contracts, (contracts) => contracts.register(bound))
  yield* policies.register("clerk", "budget", { perSessionUsd: "10" })
  yield* policies.register("clerk", "loop", { windowSeconds: 60, maxCalls: 1 })
  const presence = yield* Presence
  yield* Effect.void.pipe(governed({ agentId: "clerk", sessionId: "s", tool: "work" }))
  yield* Effect.void.pipe(governed({ agentId: "stopped", sessionId: "t", tool: "work" }))
  yield* presence.halt("stopped", { by: "operator", reason: "before the outage" })
  yield* Effect.flatMap(Halts, (halts) => halts.refresh)
})

describe("with the database gone", () => {
  for (const [how, fault] of Object.entries(gone)) {
    it.live(
      `every surface behaves as section 39 says, and enforcement answers within its deadline, when it ${how} (F-02, F-06, INV-1, G14)`,
      () =>
        Effect.gen(function* () {
          const { appUrl } = yield* TestDatabase
          const proxy = yield* FaultProxy.make(appUrl)
          const use = Effect.gen(function* () {
            yield* ready
            const { calls, ran } = yield* surfaces
            yield* proxy.set(fault)
            if (fault.refuse === true) yield* proxy.reset
            const history: Array<OperationOf<"use">> = []
            const ends: Array<string> = []
            const took: Record<string, number> = {}
            const ask = Effect.fnUntraced(function* ([surface, kind, expected]: (typeof matrix)[number]) {
              const invokeNs = yield* Clock.monotonicTimeNanos
              const exit = yield* Effect.exit(calls[surface]!)
              const completeNs = yield* Clock.monotonicTimeNanos
              const end = endOf(exit)
              if (end !== expected) ends.push(`${surface}: ${end} instead of ${expected}`)
              took[surface] = Number((completeNs - invokeNs) / 1_000_000n)
              const answer =
                end === "threw" || end === "returned" ? end : end === "StoreError" ? "storeError" : "refused"
              history.push({
                ...{ op: "use", id: surface, process: how, invokeNs, completeNs, outcome: "ok" },
                data: { kind, fault: how, answer }
              })
            })
            yield* Effect.forEach(matrix, ask, { concurrency: "unbounded", discard: true })
            report(how, took)
            assert.deepStrictEqual(ends, [])
            assert.strictEqual(ran(), 0)
            assert.deepStrictEqual(wrongOutcomes(history, matrixNs), [])

            yield* proxy.set({})
            yield* proxy.reset
            const back = governed({ agentId: "clerk", sessionId: "u", tool: "work" })(Effect.succeed("back"))
            let answer = ""
            for (let i = 0; answer === "" && i < 50; i++) {
              answer = yield* Effect.catch(back, () => Effect.as(Effect.sleep("100 millis"), ""))
            }
            assert.strictEqual(answer, "back")
            const audit = yield* Audit
            for (let i = 0; (yield* audit.stats).waiting > 0 && i < 100; i++) yield* Effect.sleep("50 millis")
            assert.strictEqual((yield* audit.stats).waiting, 0)
          })
          yield* Effect.provide(use, governance(proxy.url, { haltCacheTtl: "50 millis" }), { local: true })
          yield* mustHold([])
        }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
    )
  }

  it.live("a governed call is refused within one deadline, whatever this process still knew (G14, PRS-09, INV-1)", () =>
    Effect.gen(function* () {
      const { appUrl } = yield* TestDatabase
      const proxy = yield* FaultProxy.make(appUrl)
      const refusedAfter = (agentId: string) =>
        Effect.gen(function* () {
          const began = performance.now()
          const error = yield* Effect.flip(governed({ agentId, sessionId: "s", tool: "work" })(Effect.void))
          assert.strictEqual(error._tag, "StoreError")
          return performance.now() - began
        })
      const use = Effect.gen(function* () {
        yield* ready
        yield* proxy.set({ blackHole: "both" })
        yield* Effect.sleep("60 millis")
        const took = { stale: yield* refusedAfter("clerk"), stranger: yield* refusedAfter("stranger") }
        report("a governed call in a black hole, ms", took)
        yield* proxy.set({})
        yield* proxy.reset
        assert.deepStrictEqual(
          Object.entries(took).filter(([, ms]) => ms > promisedMs),
          []
        )
      })
      yield* Effect.provide(use, governance(proxy.url, { haltCacheTtl: "50 millis" }), { local: true })
    }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )

  it.live(
    "with costFailOpen a call runs on the last known state, a halted agent still does not, and the money is counted later (OQ-20, INV-1)",
    () =>
      Effect.gen(function* () {
        const { appUrl } = yield* TestDatabase
        const proxy = yield* FaultProxy.make(appUrl)
        const use = Effect.gen(function* () {
          yield* ready
          yield* proxy.set({ refuse: true })
          yield* proxy.reset
          const governor = yield* Governor
          const call = (agentId: string) =>
            governor.run({ agentId, sessionId: "open", tool: "work", maxUsd: "0.02" }, (ticket) =>
              Effect.as(ticket.report({ usd: NanoUsd.make(10_000_000n) }), "ran")
            )
          assert.strictEqual(yield* call("clerk"), "ran")
          assert.strictEqual((yield* Effect.flip(call("stopped")))._tag, "AgentHaltedError")
          yield* proxy.set({})
          const cost = yield* Cost
          let spent = 0n
          for (let i = 0; spent === 0n && i < 100; i++) {
            yield* Effect.sleep("100 millis")
            spent = (yield* cost.snapshot("clerk", "open")).state.sessionUsd
          }
          assert.strictEqual(spent, 10_000_000n)
        })
        yield* Effect.provide(use, governance(proxy.url, { costFailOpen: true }), { local: true })
        yield* mustHold([])
      }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )

  it.live("a host starts, is refused, and is served as soon as the database is there (INV-1, ENT-10)", () =>
    Effect.gen(function* () {
      const { appUrl } = yield* TestDatabase
      const proxy = yield* FaultProxy.make(appUrl)
      yield* proxy.set({ refuse: true })
      const use = Effect.gen(function* () {
        yield* Effect.flatMap(Policies, (policies) => policies.register("clerk", "scope", { allowedTools: ["work"] }))
        const call = Effect.succeed("served").pipe(governed({ agentId: "clerk", tool: "work" }))
        assert.strictEqual((yield* Effect.flip(call))._tag, "StoreError")
        yield* proxy.set({})
        let answer = ""
        for (let i = 0; answer === "" && i < 80; i++) {
          answer = yield* Effect.catch(call, () => Effect.as(Effect.sleep("100 millis"), ""))
        }
        assert.strictEqual(answer, "served")
      })
      yield* Effect.provide(use, governance(proxy.url), { local: true })
      yield* mustHold([])
    }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )
})

/** Facts for whoever asks for them. */
const report = (what: string, facts: Readonly<Record<string, number>>) => {
  if (process.env.FAULTS_REPORT !== undefined) console.log(what, facts)
}

const endOf = (exit: Exit.Exit<unknown, { readonly _tag: string }>): string => {
  if (Exit.isSuccess(exit)) return "returned"
  const [reason] = exit.cause.reasons
  return reason?._tag === "Fail" ? reason.error._tag : "threw"
}
