import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Stream } from "effect"
import { planOf } from "../../src/schema/CallPlan.ts"
import { AgentId, TicketId } from "../../src/schema/Ids.ts"
import { surfaces } from "../../src/schema/Surface.ts"
import { AgentKeys } from "../../src/services/AgentKeys.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Contracts } from "../../src/services/Contracts.ts"
import { Cost } from "../../src/services/Cost.ts"
import { Coverage } from "../../src/services/Coverage.ts"
import { Gates } from "../../src/services/Gates.ts"
import * as GovernorModule from "../../src/services/Governor.ts"
import { Governor, governed, governedStream } from "../../src/services/Governor.ts"
import { Loop } from "../../src/services/Loop.ts"
import { Presence } from "../../src/services/Presence.ts"
import { Prompts } from "../../src/services/Prompts.ts"
import { Routing } from "../../src/services/Routing.ts"
import { doneWithin, lined, memory, newLine } from "./World.ts"

const agentId = "clerk"
const call = { agentId, sessionId: "s1", tool: "pay" }
const anyId = "00000000-0000-4000-8000-000000000000"
const gates = <A, E>(use: (service: Gates["Service"]) => Effect.Effect<A, E>) => Effect.flatMap(Gates, use)
const usage = { model: "gpt-4o", inputTokens: 1, outputTokens: 1 }

/** The way into each enforcement method, as a program takes it. */
const doors: Record<string, (agent: string) => Effect.Effect<unknown, { readonly _tag: string }, All>> = {
  "Governor.admit": () => Effect.scoped(Effect.flatMap(Governor, (governor) => governor.admit(call))),
  "Governor.run": () => Effect.flatMap(Governor, (governor) => governor.run(call, () => Effect.void)),
  "Governor.governed": () => Effect.void.pipe(governed(call)),
  "Governor.governedStream": () => Stream.runDrain(Stream.make(1).pipe(governedStream(call))),
  "AgentScope.check": () => Effect.flatMap(AgentScope, (scope) => scope.check(agentId, { tool: "pay" })),
  "AgentScope.requireTool": () => Effect.flatMap(AgentScope, (scope) => scope.requireTool("pay", agentId)(Effect.void)),
  "Cost.checkOrFail": () => Effect.flatMap(Cost, (cost) => cost.checkOrFail(agentId, "s1")),
  "Cost.preflight": () => Effect.flatMap(Cost, (cost) => cost.preflight(agentId, "s1", {})),
  "Contracts.checkPre": () => Effect.flatMap(Contracts, (contracts) => contracts.checkPre(call)),
  "Contracts.checkPost": () => Effect.flatMap(Contracts, (contracts) => contracts.checkPost(call)),
  "Contracts.enforce": () => Effect.flatMap(Contracts, (contracts) => contracts.enforce(call)(Effect.void)),
  "Gates.approvedFor": () =>
    Effect.flatMap(Gates, (gates) =>
      Effect.flatMap(Effect.fromResult(planOf(call, String)), (plan) => gates.approvedFor(plan, call))
    ),
  "Loop.recordCall": () => Effect.flatMap(Loop, (loop) => loop.recordCall(agentId, "s1", "pay")),
  "Presence.assertNotHalted": () => Effect.flatMap(Presence, (presence) => presence.assertNotHalted(agentId))
}
type All = Governor | AgentScope | Contracts | Cost | Gates | Loop | Presence

/**
 * Enforcement that no program enters by itself: rooms of a governed call, and rows that a refusal must be able to write. And
 * `Gates.waitFor`, whose way in is a request from before the halt: test/gates/Waiting.test.ts holds it to the same.
 */
const inside = new Set(["AgentScope.room", "Cost.hold", "Audit.require", "Audit.requireInTransaction", "Gates.waitFor"])

/** Services that enforce nothing themselves: stores, knowledge, and the parts of the pipeline behind `Governor`. */
const parts = new Set([
  ...[
    "AdmissionStore",
    "AgentKeyStore",
    "AuditFallback",
    "AuditStore",
    "ReaderStore",
    "ChainKeys",
    "ContractBook",
    "ContractRoom",
    "CostStore",
    "CoverageStore",
    "Evidence",
    "GateDecisions",
    "GateRequests",
    "GateRoom",
    "GateStore",
    "Halts",
    "HaltWriter",
    "Identity",
    "Lineages"
  ],
  ...["ChainKeyStore", "KeyFollower", "KeyRotation", "LoopStore", "LoopWindow", "OpenCalls", "Policies"],
  ...["PolicyStore", "PresenceStore", "Pricing", "PromptStore", "Rooms"],
  ...["CheckpointKey", "CheckpointSinks", "CheckpointStore", "Checkpoints", "RememberedCheckpoint"],
  ...["BudgetAlertStore", "BudgetMoves"],
  ...["BridgeStateStore", "EgressDoor", "GateRelay"],
  ...["BundleKeySource", "Bundles", "CheckpointProofs", "Compliance"],
  ...["Settings", "Signal", "StoreTransaction", "Sweep", "Wrappers"],
  ...["Erasure", "LegalHolds", "Retention", "RetentionStore", "SubjectKeys", "SubjectKeyStore"]
])

const services = Effect.gen(function* () {
  return {
    Governor: yield* Governor,
    AgentScope: yield* AgentScope,
    Contracts: yield* Contracts,
    Cost: yield* Cost,
    Loop: yield* Loop,
    Presence: yield* Presence,
    Audit: yield* Audit,
    AgentKeys: yield* AgentKeys,
    Gates: yield* Gates,
    Coverage: yield* Coverage,
    Prompts: yield* Prompts,
    Routing: yield* Routing
  }
})

describe("The surface table (RES-03)", () => {
  it.effect("names every public method of every module, and nothing else", () =>
    Effect.gen(function* () {
      for (const [name, service] of Object.entries(yield* services)) {
        const listed: Record<string, unknown> = { ...surfaces }
        assert.deepStrictEqual(Object.keys(service).sort(), Object.keys(listed[name] ?? {}).sort(), name)
      }
    }).pipe(Effect.provide(memory()))
  )

  it.effect("leaves no service out: a new one is a module with its surfaces, or a part (H-02)", () =>
    Effect.gen(function* () {
      const context = yield* Effect.context<never>()
      const names = [...context.mapUnsafe.keys()]
        .filter((key) => key.startsWith("effect-governance/services/"))
        .map((key) => key.split("/").at(-1)!)
      assert.isAbove(names.length, 20)
      assert.deepStrictEqual(names.filter((name) => !(name in surfaces) && !parts.has(name)).sort(), [])
    }).pipe(Effect.provide(memory()))
  )
})

describe("A halted agent (H-02, G9)", () => {
  it("meets a door at every enforcement method and every exported combinator: a new one without its entry fails here", () => {
    const tagged = Object.entries(surfaces).flatMap(([service, methods]) =>
      Object.entries(methods).flatMap(([method, surface]) =>
        surface === "enforcement" ? [`${service}.${method}`] : []
      )
    )
    const combinators = Object.entries(GovernorModule)
      .filter(([name, value]) => typeof value === "function" && /^[a-z]/.test(name) && !/^(make|layer)/.test(name))
      .map(([name]) => `Governor.${name}`)
    const wanted = [...tagged.filter((name) => !inside.has(name)), ...combinators]
    assert.deepStrictEqual(Object.keys(doors).sort(), wanted.sort())
  })

  for (const [name, door] of Object.entries(doors)) {
    it.effect(`is stopped by ${name}, with or without a policy, and by the halt of the agent above it`, () =>
      Effect.gen(function* () {
        const presence = yield* Presence
        yield* presence.halt(agentId, { by: "ada", reason: "stop" })
        assert.strictEqual((yield* Effect.flip(door(agentId)))._tag, "AgentHaltedError")
        yield* (yield* AgentScope).register({ agentId, allowedTools: ["*"] })
        assert.strictEqual((yield* Effect.flip(door(agentId)))._tag, "AgentHaltedError")
        yield* presence.resume(agentId, { by: "ada" })
        assert.isTrue(Exit.isSuccess(yield* Effect.exit(door(agentId))))
      }).pipe(Effect.provide(memory()))
    )

    it.effect(`is stopped by ${name} when one above it is halted`, () =>
      Effect.gen(function* () {
        const presence = yield* Presence
        yield* presence.heartbeat("boss")
        yield* presence.delegate("boss", agentId)
        yield* presence.halt("boss", { by: "ada", reason: "stop" })
        assert.strictEqual((yield* Effect.flip(door(agentId)))._tag, "AgentHaltedError")
      }).pipe(Effect.provide(memory()))
    )
  }
})

/** Every method that asks a store, called on a line that is cut after the start. */
const calls: Record<string, Effect.Effect<unknown, { readonly _tag: string }, All | Audit | Prompts>> = {
  ...Object.fromEntries(Object.entries(doors).map(([name, door]) => [name, door(agentId)])),
  "AgentScope.register": Effect.flatMap(AgentScope, (scope) => scope.register({ agentId, allowedTools: ["*"] })),
  "AgentScope.filterTools": Effect.flatMap(AgentScope, (scope) => scope.filterTools(agentId, ["a"])),
  "Cost.register": Effect.flatMap(Cost, (cost) => cost.register({ agentId, perSessionUsd: 1 })),
  "Cost.track": Effect.flatMap(Cost, (cost) => cost.track(agentId, null, { usd: 1, tokens: 1 })),
  "Cost.trackUsage": Effect.flatMap(Cost, (cost) => cost.trackUsage(agentId, null, usage)),
  "Cost.reconcile": Effect.flatMap(Cost, (cost) => cost.reconcile(AgentId.make(agentId), TicketId.make(anyId), usage)),
  "Cost.snapshot": Effect.flatMap(Cost, (cost) => cost.snapshot(agentId, null)),
  "Cost.modelBreakdown": Effect.flatMap(Cost, (cost) => cost.modelBreakdown(agentId)),
  "Contracts.register": Effect.flatMap(Contracts, (contracts) => contracts.register({ agentId, tool: "x" })),
  "Contracts.registerCheck": Effect.flatMap(Contracts, (contracts) =>
    contracts.registerCheck("x", () => Effect.succeed(true))
  ),
  "Contracts.contractsOf": Effect.flatMap(Contracts, (contracts) => contracts.contractsOf(agentId)),
  "Loop.register": Effect.flatMap(Loop, (loop) => loop.register({ agentId, windowSeconds: 1, maxCalls: 1 })),
  "Loop.check": Effect.flatMap(Loop, (loop) => loop.check(agentId, null)),
  "Presence.heartbeat": Effect.flatMap(Presence, (presence) => presence.heartbeat(agentId)),
  "Presence.markIdle": Effect.flatMap(Presence, (presence) => presence.markIdle(agentId)),
  "Presence.closeAgent": Effect.flatMap(Presence, (presence) => presence.closeAgent(agentId)),
  "Presence.listAgents": Effect.flatMap(Presence, (presence) => presence.listAgents),
  "Presence.checkStale": Effect.flatMap(Presence, (presence) => presence.checkStale()),
  "Presence.isHalted": Effect.flatMap(Presence, (presence) => presence.isHalted(agentId)),
  "Presence.forceRefreshHaltedCache": Effect.flatMap(Presence, (presence) => presence.forceRefreshHaltedCache),
  "Presence.halt": Effect.flatMap(Presence, (presence) => presence.halt(agentId, { by: "ada", reason: "" })),
  "Presence.resume": Effect.flatMap(Presence, (presence) => presence.resume(agentId, { by: "ada" })),
  "Presence.delegate": Effect.flatMap(Presence, (presence) => presence.delegate(agentId, "intern")),
  "Gates.request": gates((service) => service.request("pay", agentId)),
  "Gates.waitFor": gates((service) => service.waitFor(anyId)),
  "Gates.grant": gates((service) => service.grant("x", { by: "rita" })),
  "Gates.deny": gates((service) => service.deny("x", { by: "rita" })),
  "Gates.list": gates((service) => service.list()),
  "Gates.claim": gates((service) => service.claim(anyId, { by: "rita", from: null, to: "rita" })),
  "Gates.hasGrantedApproval": gates((service) => service.hasGrantedApproval(agentId)),
  "Gates.editedArguments": gates((service) => service.editedArguments(anyId)),
  "Gates.cleanupResolved": gates((service) => service.cleanupResolved()),
  "Prompts.register": Effect.flatMap(Prompts, (prompts) => prompts.register("p", "text", { by: "ada" })),
  "Prompts.activate": Effect.flatMap(Prompts, (prompts) => prompts.activate("p", "0".repeat(64), { by: "ada" })),
  "Prompts.rollback": Effect.flatMap(Prompts, (prompts) => prompts.rollback("p", { by: "ada" })),
  "Prompts.list": Effect.flatMap(Prompts, (prompts) => prompts.list),
  "Prompts.history": Effect.flatMap(Prompts, (prompts) => prompts.history("p")),
  "Prompts.diff": Effect.flatMap(Prompts, (prompts) => prompts.diff("p", "0".repeat(64), "1".repeat(64))),
  "Prompts.get": Effect.flatMap(Prompts, (prompts) => prompts.get("p", "0".repeat(64))),
  "Prompts.use": Effect.flatMap(Prompts, (prompts) => prompts.use("p")),
  "Audit.log": Effect.flatMap(Audit, (audit) => audit.log({ kind: "x", agentId })),
  "Audit.note": Effect.flatMap(Audit, (audit) => audit.note({ kind: "x", agentId })),
  "Audit.require": Effect.flatMap(Audit, (audit) => audit.require({ kind: "x", agentId })),
  "Audit.track": Effect.flatMap(Audit, (audit) => audit.track("x", agentId)(Effect.void)),
  "Audit.stats": Effect.flatMap(Audit, (audit) => audit.stats)
}

/** What the matrix of section 39 lets pass without the store: answers from memory, and windows of the process's own. */
const fromMemory = new Set([
  ...["AgentScope.check", "AgentScope.requireTool", "Presence.assertNotHalted", "Loop.recordCall"],
  ...["AgentScope.register", "Cost.register", "Loop.register"],
  // Without a contract they have nothing to ask.
  ...["Contracts.register", "Contracts.registerCheck", "Contracts.contractsOf"],
  ...["Contracts.checkPre", "Contracts.checkPost", "Contracts.enforce"]
])

describe("With the store away (RES-01 to RES-03)", () => {
  for (const how of ["down", "hanging"] as const) {
    for (const [name, use] of Object.entries(calls)) {
      const [service = "", method = ""] = name.split(".")
      const methods: Record<string, Record<string, string>> = { ...surfaces }
      const surface = methods[service]?.[method] ?? "enforcement"
      const passes = surface === "observation" || fromMemory.has(name)
      it.effect(`${name} (${surface}) ${passes ? "goes on" : "fails"} when it is ${how}, within its bound`, () => {
        const line = newLine()
        return Effect.gen(function* () {
          yield* (yield* AgentScope).register({ agentId, allowedTools: ["*"] })
          yield* (yield* Presence).assertNotHalted(agentId)
          line.state = how
          // Enforcement keeps its deadline of one second; an act of a person may take five.
          const bound = surface === "operation" ? "5 seconds" : "1 second"
          const exit = yield* doneWithin(bound)(Effect.exit(use))
          assert.strictEqual(Exit.isSuccess(exit), passes, String(exit))
          line.state = "up"
        }).pipe(Effect.provide(lined(line)))
      })
    }
  }
})
