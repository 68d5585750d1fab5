import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Option } from "effect"
import { TestClock } from "effect/testing"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Gates } from "../../src/services/Gates.ts"
import { governed } from "../../src/services/Governor.ts"
import { Policies } from "../../src/services/Policies.ts"
import { Presence } from "../../src/services/Presence.ts"
import { capture, kinds, lined, newLine } from "../services/World.ts"
import { agentId, card, cards, clerk, ended, grant, owner, pay, settle, started, world } from "./Gates.ts"

const noWait = { approval: { wait: false } }
const counter = () => {
  const seen: Array<unknown> = []
  return { seen, run: Effect.sync(() => void seen.push("ran")) }
}
const said = (exit: Exit.Exit<unknown, { readonly _tag: string }>) =>
  Option.match(Exit.findErrorOption(exit), {
    onNone: () => "none",
    onSome: (error) => ("problem" in error ? `${error._tag} ${String(error.problem)}` : error._tag)
  })
const stateOf = Effect.map(
  Effect.flatMap(Gates, (gates) => gates.list({ which: "all" })),
  ([first]) => first?.gate.state
)

describe("An approval between its grant and its use", () => {
  it.effect("is worth nothing once whoever gave it operates the agent (ATH-07, GAT-11, C-25)", () =>
    Effect.gen(function* () {
      yield* clerk()
      const { run, seen } = counter()
      const call = run.pipe(governed(pay(undefined, noWait)))
      yield* Effect.flip(call)
      const { gate } = yield* card
      yield* grant("rita@example.org")
      yield* (yield* Presence).heartbeat(agentId, { operatorId: "Rita@example.org" })
      const waited = yield* Effect.exit((yield* Gates).waitFor(gate.requestId))
      assert.strictEqual(said(waited), "ApprovalDenied withdrawn")
      assert.strictEqual(said(yield* Effect.exit(call)), "ApprovalDenied withdrawn")
      assert.strictEqual(seen.length, 0)
    }).pipe(Effect.provide(world()))
  )

  it.effect("is not used by a call that its agent may no longer make: the policy changed while it waited", () =>
    Effect.gen(function* () {
      yield* clerk()
      const { run, seen } = counter()
      const fiber = yield* started(run.pipe(governed(pay())))
      yield* (yield* AgentScope).register({ agentId, allowedTools: ["look"] })
      yield* grant()
      assert.strictEqual(said(yield* ended(fiber)), "ScopeViolation")
      assert.deepStrictEqual([seen.length, yield* stateOf], [0, "granted"])
    }).pipe(Effect.provide(world()))
  )

  for (const costFailOpen of [false, true]) {
    it.effect(
      `runs nothing while the store cannot use it up, costFailOpen ${costFailOpen}; afterwards once (BEY-02, INV-7)`,
      () => {
        const line = { ...newLine(), only: ["admission"] as const }
        return Effect.gen(function* () {
          yield* clerk()
          const { run, seen } = counter()
          const call = run.pipe(governed(pay(undefined, noWait)))
          yield* Effect.flip(call)
          yield* grant()
          line.state = "down"
          assert.deepInclude(yield* Effect.flip(call), { _tag: "StoreError", store: "admission" })
          assert.strictEqual(seen.length, 0)
          line.state = "up"
          yield* call
          assert.strictEqual((yield* Effect.flip(call))._tag, "ApprovalPending")
          assert.strictEqual(seen.length, 1)
        }).pipe(Effect.provide(lined(line, { costFailOpen })))
      }
    )
  }

  it.effect(
    "is asked for what the log knows, or for nothing: an input that reads differently twice is refused (T-06)",
    () =>
      Effect.gen(function* () {
        yield* clerk()
        const { run, seen } = counter()
        let reads = 0
        const input = new Proxy({ to: "A" }, { get: (_, key) => (key === "to" ? `A${reads++}` : undefined) })
        const error = yield* Effect.flip(run.pipe(governed(pay(input, noWait))))
        assert.strictEqual(error._tag, "InvalidInput")
        assert.deepStrictEqual([seen.length, (yield* cards).length], [0, 0])
        assert.isAbove(reads, 1)
      }).pipe(Effect.provide(world()))
  )

  it.effect("that has run out says so to a call that names it; without the name it is asked for anew (T-04)", () =>
    Effect.gen(function* () {
      yield* clerk({ expiresAfter: 60 })
      const { run, seen } = counter()
      yield* Effect.flip(run.pipe(governed(pay(undefined, noWait))))
      const { gate } = yield* card
      yield* grant()
      yield* TestClock.adjust("61 seconds")
      const late = yield* Effect.flip(run.pipe(governed(pay(undefined, { approval: { request: gate.requestId } }))))
      assert.match(`${late.message} ${late.recoveryHint}`, /has run out.*without the old request's id/)
      assert.strictEqual((yield* Effect.flip(run.pipe(governed(pay(undefined, noWait)))))._tag, "ApprovalPending")
      assert.notStrictEqual((yield* card).gate.requestId, gate.requestId)
      assert.strictEqual(seen.length, 0)
    }).pipe(Effect.provide(world()))
  )
})

describe("Whoever waits (GAT-03)", () => {
  it.effect("finds the decision by asking alone, within 600 ms, where no signal ever comes", () => {
    const line = newLine()
    return Effect.gen(function* () {
      yield* clerk()
      const { run, seen } = counter()
      const gates = yield* Gates
      const call = yield* started(run.pipe(governed(pay())))
      const { gate } = yield* card
      const direct = yield* started(gates.waitFor(gate.requestId))
      const before = line.asked.get("gates.stateOf") ?? 0
      yield* TestClock.adjust("60 seconds")
      const asked = (line.asked.get("gates.stateOf") ?? 0) - before
      // Two wait for a minute, each asks every 400 to 600 ms.
      assert.isTrue(asked >= 2 * 99 && asked <= 2 * 151, `${asked}`)
      yield* gates.grant((yield* card).token, { by: "rita" })
      yield* settle
      assert.deepStrictEqual([call.pollUnsafe(), direct.pollUnsafe(), seen.length], [undefined, undefined, 0])
      yield* TestClock.adjust("600 millis")
      yield* settle
      assert.deepStrictEqual([call.pollUnsafe()?._tag, seen.length], ["Success", 1])
    }).pipe(Effect.provide(lined(line, { signal: "silent" })))
  })

  it.effect("hears of it at once where a signal comes, and goes on before it would have asked", () =>
    Effect.gen(function* () {
      yield* clerk()
      const { run, seen } = counter()
      const fiber = yield* started(run.pipe(governed(pay())))
      yield* grant()
      // The clock stands: nobody has slept to the end of a pause.
      yield* Effect.forEach(Array.from({ length: 5 }), () => settle, { discard: true })
      assert.deepStrictEqual([fiber.pollUnsafe()?._tag, seen.length], ["Success", 1])
    }).pipe(Effect.provide(world()))
  )

  it.effect("says in the program's log what it waits for and what to do, without token or arguments (T-11)", () => {
    const log = capture()
    return Effect.gen(function* () {
      yield* clerk()
      const fiber = yield* started(Effect.void.pipe(governed(pay({ to: "canary-argument" }))))
      const { gate, token } = yield* card
      const lines = log.named("approval.waiting")
      assert.strictEqual(lines.length, 1)
      for (const part of [gate.requestId, agentId, "pay", "governance approvals"])
        assert.include(lines[0]?.message, part)
      yield* grant()
      yield* ended(fiber)
      const all = JSON.stringify(log.lines)
      assert.notInclude(all, token.slice(-64))
      assert.notInclude(all, "canary-argument")
    }).pipe(Effect.provide(world()), Effect.provide(log.layer))
  })
})

describe("A program that does not wait (GAT-14, GAT-04, ERR-10)", () => {
  it.effect(
    "gets ApprovalPending with the request's id; ignored, it still ran nothing, for the wrapper holds the effect",
    () =>
      Effect.gen(function* () {
        yield* clerk()
        const { run, seen } = counter()
        const ignored = Effect.ignore(run.pipe(governed(pay(undefined, noWait))))
        for (let i = 0; i < 3; i++) yield* ignored
        const error = yield* Effect.flip(run.pipe(governed(pay(undefined, noWait))))
        const { gate } = yield* card
        assert.deepStrictEqual(
          [error._tag, "requestId" in error ? error.requestId : null, seen.length],
          ["ApprovalPending", gate.requestId, 0]
        )
        assert.notInclude(yield* kinds("s1"), "tool.call")
      }).pipe(Effect.provide(world()))
  )

  it.effect("and acts beside the wrapper is stopped by nobody, and the log has no attempt of it: the known limit", () =>
    Effect.gen(function* () {
      yield* clerk()
      const { run, seen } = counter()
      yield* (yield* Gates).request("pay", agentId, { usd: "5" }, { sessionId: "s1" })
      yield* run
      assert.strictEqual(seen.length, 1)
      assert.deepStrictEqual(yield* kinds("s1"), ["approval.requested"])
    }).pipe(Effect.provide(world()))
  )
})

describe("What the agent is told (ERR-10, ERR-11, T-14)", () => {
  it.effect("names the request in each of the three refusals, and a next step; never who decided or why", () =>
    Effect.gen(function* () {
      yield* clerk({ expiresAfter: 60 })
      const gates = yield* Gates
      const call = (more: object) => Effect.flip(Effect.void.pipe(governed(pay(undefined, more))))
      const pending = yield* call(noWait)
      const { gate, token } = yield* card
      const timeout = yield* started(call({ approval: { timeout: "5 seconds" } }))
      yield* TestClock.adjust("5 seconds")
      const late = yield* ended(timeout)
      const waiting = yield* started(call({}))
      yield* gates.deny(token, { by: "rita@example.org", reason: "XYZZY" })
      const denied = yield* ended(waiting)
      const errors = [pending, ...[late, denied].flatMap((exit) => (Exit.isSuccess(exit) ? [exit.value] : []))]
      assert.deepStrictEqual(
        errors.map(({ _tag }) => _tag),
        ["ApprovalPending", "ApprovalTimeout", "ApprovalDenied"]
      )
      for (const error of errors) {
        assert.strictEqual("requestId" in error ? error.requestId : null, gate.requestId)
        assert.isAbove(error.recoveryHint.length, 10)
        const told = `${error.message} ${error.recoveryHint} ${JSON.stringify(error)}`
        for (const secret of ["rita", "XYZZY", owner, token.slice(-64)]) assert.notInclude(told, secret)
      }
    }).pipe(Effect.provide(world()))
  )

  it.effect("a withdrawn grant is no grant for `waitFor` either (T-17, T-18)", () =>
    Effect.gen(function* () {
      yield* clerk()
      const gates = yield* Gates
      const { requestId } = yield* gates.request("pay", agentId, { usd: "5" })
      yield* grant()
      yield* gates.waitFor(requestId)
      yield* (yield* Policies).register(agentId, "gate", { requireApproval: ["pay"], quorum: 2 })
      assert.strictEqual(said(yield* Effect.exit(gates.waitFor(requestId))), "ApprovalDenied withdrawn")
    }).pipe(Effect.provide(world()))
  )
})
