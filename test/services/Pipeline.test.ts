import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { AdmissionStore } from "../../src/services/AdmissionStore.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Cost } from "../../src/services/Cost.ts"
import { Governor, governed, governedStream } from "../../src/services/Governor.ts"
import { Loop } from "../../src/services/Loop.ts"
import { OpenCalls } from "../../src/services/OpenCalls.ts"
import { Policies } from "../../src/services/Policies.ts"
import { Presence } from "../../src/services/Presence.ts"
import { Sweep } from "../../src/services/Sweep.ts"
import { capture, cent, doneWithin, has, kinds, lined, memory, newLine, usd } from "./World.ts"

const agentId = "clerk"
const sessionId = "s1"
const call = { agentId, sessionId, tool: "pay", maxUsd: "0.01" }
const allow = Effect.flatMap(AgentScope, (scope) => scope.register({ agentId, allowedTools: ["*"] }))
const state = Effect.flatMap(Cost, (cost) => Effect.map(cost.snapshot(agentId, sessionId), (found) => found.state))
const spent = Effect.map(state, ({ heldUsd, sessionUsd }) => [sessionUsd, heldUsd])
const settle = Effect.gen(function* () {
  for (let i = 0; i < 20; i++) yield* Effect.yieldNow
})

describe("A governed call without its store", () => {
  it.effect("is refused with StoreError, and runs nothing (39, DEC-07)", () => {
    const line = newLine()
    return Effect.gen(function* () {
      yield* allow
      line.state = "down"
      let ran = false
      const error = yield* Effect.flip(Effect.sync(() => (ran = true)).pipe(governed(call)))
      assert.strictEqual(error._tag, "StoreError")
      assert.isFalse(ran)
    }).pipe(Effect.provide(lined(line)))
  })

  it.effect(
    "with costFailOpen runs on the last known halts and its own loop window, logged each time, and is charged later (U-12)",
    () => {
      const line = newLine()
      const log = capture()
      return Effect.gen(function* () {
        yield* allow
        yield* (yield* Loop).register({ agentId, windowSeconds: 600, maxCalls: 3 })
        yield* (yield* Presence).halt("other", { by: "ada", reason: "stop" })
        yield* (yield* AgentScope).register({ agentId: "other", allowedTools: ["*"] })
        yield* Effect.void.pipe(governed({ ...call, maxUsd: 0 }))
        line.state = "down"
        const governor = yield* Governor
        const run = governor.run(call, (ticket) => Effect.as(ticket.report({ usd: usd(cent) }), "ran"))
        // The call before the outage counts: the window goes on, it does not begin anew.
        for (let i = 0; i < 2; i++) assert.strictEqual(yield* run, "ran")
        assert.strictEqual((yield* Effect.flip(run))._tag, "LoopDetected")
        assert.strictEqual(
          (yield* Effect.flip(Effect.void.pipe(governed({ ...call, agentId: "other" }))))._tag,
          "AgentHaltedError"
        )
        assert.strictEqual(log.named("cost.fail_open").length, 2)
        line.state = "up"
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(yield* spent, [2n * cent, 0n])
      }).pipe(Effect.provide(lined(line, { costFailOpen: true })), Effect.provide(log.layer))
    }
  )

  it.effect("costFailOpen overrules silence only: a store that answers with a refusal is obeyed", () => {
    const line = newLine()
    return Effect.gen(function* () {
      yield* allow
      const store = yield* AdmissionStore
      const { StoreError } = yield* Effect.promise(() => import("../../src/schema/StoreError.ts"))
      for (const problem of ["refused", "integrity", "closed"] as const) {
        Object.assign(store, { admit: () => Effect.fail(new StoreError({ store: "x", operation: "admit", problem })) })
        const error = yield* Effect.flip(Effect.void.pipe(governed(call)))
        has(error, { _tag: "StoreError", problem })
      }
    }).pipe(Effect.provide(lined(line, { costFailOpen: true })))
  })

  it.effect(
    "does not keep its caller waiting when only settling fails; settling is retried until it is through (design 5)",
    () =>
      Effect.gen(function* () {
        for (const how of ["down", "hanging"] as const) {
          const line = newLine()
          line.only = ["admission"]
          yield* Effect.gen(function* () {
            yield* allow
            const cut = Effect.sync(() => {
              line.state = how
            })
            assert.strictEqual(yield* doneWithin("1 second")(Effect.as(cut, "ran").pipe(governed(call))), "ran")
            line.state = "up"
            yield* TestClock.adjust("10 seconds")
            assert.deepStrictEqual(yield* spent, [cent, 0n])
            assert.deepStrictEqual(yield* kinds(sessionId), ["tool.call", "tool.result"])
          }).pipe(Effect.provide(lined(line), { local: true }))
        }
      })
  )
})

describe('audit: "required"', () => {
  const require = Effect.flatMap(Policies, (policies) => policies.register(agentId, "audit", { mode: "required" }))

  it.effect("refuses a call whose attempt cannot be written, and gives its hold back (DEC-06)", () =>
    Effect.gen(function* () {
      for (const how of ["down", "hanging"] as const) {
        const line = newLine()
        line.only = ["audit"]
        yield* Effect.gen(function* () {
          yield* allow
          yield* require
          line.state = how
          let ran = false
          const error = yield* doneWithin("3 seconds")(
            Effect.flip(Effect.sync(() => (ran = true)).pipe(governed(call)))
          )
          assert.strictEqual(error._tag, "StoreError")
          assert.isFalse(ran)
          yield* settle
          assert.deepStrictEqual(yield* spent, [0n, 0n])
          line.state = "up"
          assert.isTrue(yield* Effect.sync(() => (ran = true)).pipe(governed(call)))
        }).pipe(Effect.provide(lined(line), { local: true }))
      }
    })
  )

  it.effect("has the attempt in the log before the call begins (DEC-06)", () =>
    Effect.gen(function* () {
      yield* allow
      yield* require
      assert.deepStrictEqual(yield* kinds(sessionId).pipe(governed(call)), ["tool.call"])
    }).pipe(Effect.provide(memory()))
  )
})

describe("Leases (BEY-01, U-02)", () => {
  it.effect("of a long call are renewed while it runs: the sweep leaves it alone", () =>
    Effect.gen(function* () {
      yield* allow
      const done = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(Deferred.await(done).pipe(governed(call)))
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(yield* spent, [0n, cent])
      yield* Deferred.succeed(done, undefined)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(yield* spent, [cent, 0n])
      assert.deepStrictEqual(yield* kinds(sessionId), ["tool.call", "tool.result"])
    }).pipe(Effect.provide(memory()))
  )

  it.effect("that ended are charged as orphans, and the real outcome corrects it, marked late (BEY-06)", () => {
    const line = newLine()
    return Effect.gen(function* () {
      yield* allow
      const done = yield* Deferred.make<void>()
      const governor = yield* Governor
      const fiber = yield* Effect.forkChild(
        governor.run({ ...call, maxUsd: "0.05" }, (ticket) =>
          Effect.andThen(Deferred.await(done), ticket.report({ usd: usd(2n * cent) }))
        )
      )
      yield* settle
      line.only = ["admission"]
      line.state = "down"
      yield* TestClock.adjust("2 minutes")
      line.state = "up"
      yield* (yield* Sweep).run
      assert.deepStrictEqual(yield* spent, [5n * cent, 0n])
      yield* Deferred.succeed(done, undefined)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(yield* spent, [2n * cent, 0n])
      const rows = yield* (yield* Audit).traceSessionChain(sessionId)
      assert.deepStrictEqual(
        rows.map(({ kind }) => kind),
        ["tool.call", "call.orphaned", "tool.result"]
      )
      has(rows.at(-1)?.metadata as object, { late: true })
    }).pipe(Effect.provide(lined(line)))
  })

  it.effect(
    "a refused call whose hold could not be given back is swept as refused: it never ran, it costs nothing (DEC-07)",
    () => {
      const line = newLine()
      line.only = ["admission"]
      return Effect.gen(function* () {
        yield* allow
        yield* (yield* Loop).register({ agentId, windowSeconds: 60, maxCalls: 100, progress: { maxRepeats: 1 } })
        const same = { ...call, input: { a: 1 } }
        yield* Effect.succeed("same").pipe(governed(same))
        line.after = (name) => {
          if (name === "admission.admit") line.state = "down"
          return Effect.void
        }
        assert.strictEqual((yield* Effect.flip(Effect.succeed("same").pipe(governed(same))))._tag, "LoopDetected")
        delete line.after
        line.state = "up"
        assert.deepStrictEqual(yield* spent, [cent, cent])
        yield* TestClock.adjust("2 minutes")
        assert.deepStrictEqual(yield* spent, [cent, 0n])
        assert.notInclude(yield* kinds(sessionId), "call.orphaned")
      }).pipe(Effect.provide(lined(line)))
    }
  )
})

describe("Interruption (F-09)", () => {
  it.effect("at every await of a governed call leaks nothing: no hold, no open call, and every row has its pair", () =>
    Effect.gen(function* () {
      // First run: which awaits are there. Then one run for each of them, cut right there.
      const steps = yield* run(-1)
      assert.isAtLeast(steps.length, 4)
      for (let i = 0; i < steps.length; i++) yield* run(i)
    })
  )

  const run = (cutAt: number) => {
    const line = newLine()
    const seen: Array<string> = []
    const reached = Deferred.makeUnsafe<void>()
    const gate = Deferred.makeUnsafe<void>()
    return Effect.gen(function* () {
      yield* allow
      yield* (yield* Policies).register(agentId, "audit", { mode: "required" })
      yield* (yield* Cost).register({ agentId, perSessionUsd: "10" })
      yield* TestClock.adjust("5 seconds")
      line.after = (name) =>
        Effect.suspend(() => {
          seen.push(name)
          if (seen.length - 1 !== cutAt) return Effect.yieldNow
          return Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(gate))
        })
      const fiber = yield* Effect.forkChild(Effect.andThen(Effect.yieldNow, Effect.yieldNow).pipe(governed(call)))
      if (cutAt >= 0) {
        yield* Deferred.await(reached)
        const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber))
        yield* settle
        yield* Deferred.succeed(gate, undefined)
        yield* TestClock.adjust("3 seconds")
        yield* Fiber.join(interrupting)
      } else yield* Fiber.join(fiber)
      const steps = [...seen]
      delete line.after
      yield* TestClock.adjust("10 seconds")
      const where = `cut at ${cutAt}: ${steps.at(-1) ?? ""}`
      assert.strictEqual((yield* OpenCalls).count(), 0, where)
      assert.strictEqual((yield* state).heldUsd, 0n, where)
      const rows = yield* kinds(sessionId)
      const ran = rows.includes("tool.result")
      assert.strictEqual((yield* state).sessionUsd, ran ? cent : 0n, where)
      assert.notInclude(rows, "call.orphaned", where)
      return steps
    }).pipe(Effect.provide(lined(line, { signal: "silent", hotReload: false }), { local: true }))
  }

  it.effect(
    "cannot be swallowed by a call that is uninterruptible: a halt frees the caller after a second, and it is settled once (H-07)",
    () =>
      Effect.gen(function* () {
        yield* allow
        const release = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(
          Effect.uninterruptible(Deferred.await(release)).pipe(governed(call), Effect.flip)
        )
        yield* settle
        yield* (yield* Presence).halt(agentId, { by: "ada", reason: "stop" })
        const error = yield* doneWithin("1 second")(Fiber.join(fiber))
        assert.strictEqual(error._tag, "AgentHaltedError")
        assert.deepStrictEqual(yield* spent, [cent, 0n])
        yield* Deferred.succeed(release, undefined)
        yield* settle
        assert.deepStrictEqual(yield* spent, [cent, 0n])
        assert.strictEqual((yield* OpenCalls).count(), 0)
      }).pipe(Effect.provide(memory()))
  )

  it.effect("a governed call inside an uninterruptible region works and settles", () =>
    Effect.gen(function* () {
      yield* allow
      assert.strictEqual(yield* Effect.uninterruptible(Effect.succeed("ran").pipe(governed(call))), "ran")
      assert.deepStrictEqual(yield* spent, [cent, 0n])
    }).pipe(Effect.provide(memory()))
  )

  it.effect("a defect of the call is settled and recorded, and stays a defect", () =>
    Effect.gen(function* () {
      yield* allow
      const exit = yield* Effect.exit(Effect.die("boom").pipe(governed(call)))
      assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) === "boom")
      assert.deepStrictEqual(yield* spent, [cent, 0n])
      const rows = yield* (yield* Audit).traceSessionChain(sessionId)
      has(rows.at(-1)?.metadata as object, { result: "failed", error: "defect" })
    }).pipe(Effect.provide(memory()))
  )
})

describe("Many calls at once", () => {
  it.effect("one thousand end with nothing open and nothing held, however they end", () =>
    Effect.gen(function* () {
      yield* allow
      const governor = yield* Governor
      const one = (i: number): Effect.Effect<unknown, unknown> => {
        switch (i % 5) {
          case 0:
            return governor.run(call, () => Effect.sleep(i))
          case 1:
            return governor.run(call, () => Effect.fail("no"))
          case 2:
            return Effect.timeout(
              governor.run(call, () => Effect.never),
              i
            )
          case 3:
            return governor.run(call, () => Effect.die("boom"))
          default:
            return Effect.scoped(Effect.andThen(governor.admit(call), Effect.sleep(1)))
        }
      }
      const all = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 1000 }, (_, i) => i),
          (i) => Effect.exit(one(i)),
          { concurrency: "unbounded" }
        )
      )
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(all)
      assert.strictEqual((yield* OpenCalls).count(), 0)
      assert.deepStrictEqual(yield* spent, [1000n * cent, 0n])
      yield* (yield* Audit).verifyChain()
    }).pipe(Effect.provide(memory()))
  )

  it.effect("a stream that fails before its first part, or is never pulled to its end, settles once (BEY-07)", () =>
    Effect.gen(function* () {
      yield* allow
      yield* Effect.exit(Stream.runDrain(Stream.fail("no").pipe(governedStream(call))))
      yield* Stream.runDrain(Stream.make(1, 2, 3).pipe(governedStream(call), Stream.take(1)))
      yield* Effect.exit(Stream.runDrain(Stream.die("boom").pipe(governedStream(call))))
      assert.deepStrictEqual(yield* spent, [3n * cent, 0n])
      assert.strictEqual((yield* OpenCalls).count(), 0)
    }).pipe(Effect.provide(memory()))
  )
})
