import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, Option } from "effect"
import { TestClock } from "effect/testing"
import type { GovernanceError } from "../../src/schema/GovernanceError.ts"
import { isGovernanceError, isHaltError } from "../../src/schema/GovernanceError.ts"
import type { AgentHaltedError } from "../../src/schema/Presence.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Governor, governed } from "../../src/services/Governor.ts"
import { Presence } from "../../src/services/Presence.ts"
import { agentKinds, capture, doneWithin, has, kinds, lined, memory, newLine } from "./World.ts"

const agentId = "clerk"
const by = { by: "ada", reason: "enough" }
const presence = Presence
const halt = (agent = agentId) => Effect.flatMap(presence, (service) => service.halt(agent, by))
const resume = (agent = agentId) => Effect.flatMap(presence, (service) => service.resume(agent, { by: "ada" }))
const assertNotHalted = (agent = agentId) => Effect.flatMap(presence, (service) => service.assertNotHalted(agent))
const isHalted = (agent = agentId) => Effect.flatMap(presence, (service) => service.isHalted(agent))
const list = Effect.flatMap(presence, (service) => service.listAgents)

describe("Presence, who is there", () => {
  it.effect("heartbeat makes an agent live and binds a person; idle, stale and closed follow (PRS-01 to PRS-04)", () =>
    Effect.gen(function* () {
      const service = yield* presence
      yield* service.heartbeat(agentId, { metadata: { step: 1 }, operatorId: "ada" })
      has((yield* list)[0]!, { agentId, status: "live", operatorId: "ada", metadata: { step: 1 } })
      yield* service.markIdle(agentId)
      has((yield* list)[0]!, { status: "idle", operatorId: "ada", metadata: { step: 1 } })
      yield* TestClock.adjust("299 seconds")
      assert.deepStrictEqual(yield* service.checkStale(), [])
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual<ReadonlyArray<string>>(yield* service.checkStale(), [agentId])
      has((yield* list)[0]!, { status: "unresponsive" })
      yield* service.heartbeat(agentId)
      has((yield* list)[0]!, { status: "live" })
      yield* service.closeAgent(agentId)
      assert.deepStrictEqual(yield* list, [])
    }).pipe(Effect.provide(memory()))
  )

  it.effect(
    "refuses metadata above 64 KiB or that is no object, and keeps the snapshot it checked (PRS-01, A-14)",
    () =>
      Effect.gen(function* () {
        const service = yield* presence
        const wrong: ReadonlyArray<unknown> = [
          { text: "x".repeat(65_537) },
          [1, 2],
          { when: new Date(0) },
          new Map(),
          "text"
        ]
        for (const metadata of wrong) {
          const error = yield* Effect.flip(
            service.heartbeat(agentId, { metadata: metadata as Record<string, unknown> })
          )
          assert.strictEqual(error._tag, "InvalidInput")
        }
        let reads = 0
        const sly = {
          get secret() {
            reads += 1
            return reads === 1 ? "checked" : "another"
          }
        }
        yield* service.heartbeat(agentId, { metadata: sly })
        has((yield* list)[0]!, { metadata: { secret: "checked" } })
      }).pipe(Effect.provide(memory()))
  )

  it.effect("never fails for the store: observation warns and goes on (RES-01)", () =>
    Effect.gen(function* () {
      for (const how of ["down", "hanging"] as const) {
        const line = newLine()
        const log = capture()
        yield* Effect.gen(function* () {
          const service = yield* presence
          line.state = how
          const soon = doneWithin("1 second")
          yield* soon(service.heartbeat(agentId))
          yield* soon(service.markIdle(agentId))
          yield* soon(service.closeAgent(agentId))
          assert.deepStrictEqual(yield* soon(service.listAgents), [])
          assert.deepStrictEqual(yield* soon(service.checkStale()), [])
          assert.deepStrictEqual(yield* soon(service.checkStale("no duration" as never)), [])
          yield* soon(service.forceRefreshHaltedCache)
          assert.strictEqual(log.named("presence.heartbeat_failed").length, 2)
        }).pipe(Effect.provide(lined(line), { local: true }), Effect.provide(log.layer))
      }
    })
  )
})

describe("Presence, the halt", () => {
  it.effect("says who, when and why, and reaches the next check at once in this process (PRS-07, PRS-12)", () =>
    Effect.gen(function* () {
      yield* assertNotHalted()
      const made = yield* halt()
      const error = yield* Effect.flip(assertNotHalted())
      assert.strictEqual(error._tag, "AgentHaltedError")
      has(error, { agentId, haltedBy: "ada", haltedAt: made.haltedAt, reason: "enough", path: "assert_not_halted" })
      assert.isTrue(yield* isHalted())
      assert.include(error.message, "enough")
      assert.include(error.recoveryHint, "governance resume clerk")
    }).pipe(Effect.provide(memory()))
  )

  it.effect("is one act with its row; halting again changes nothing and writes nothing (PRS-12, H-10)", () =>
    Effect.gen(function* () {
      const first = yield* halt()
      const service = yield* presence
      const again = yield* service.halt(agentId, { by: "bob", reason: "another" })
      assert.deepStrictEqual(again, first)
      assert.deepStrictEqual(yield* agentKinds(agentId), ["agent.halted"])
      assert.isTrue(Option.isSome(yield* resume()))
      assert.isTrue(Option.isNone(yield* resume()))
      yield* assertNotHalted()
      assert.deepStrictEqual(yield* agentKinds(agentId), ["agent.halted", "agent.restored"])
      yield* (yield* Audit).verifyChain()
    }).pipe(Effect.provide(memory()))
  )

  it.effect("shows as the documented marker keys and as status, whatever the status was (PRS-04, PRS-05, OQ-09)", () =>
    Effect.gen(function* () {
      const service = yield* presence
      yield* service.heartbeat(agentId, { metadata: { step: 1 } })
      yield* halt()
      const [agent] = yield* list
      assert.strictEqual(agent?.status, "halted")
      assert.deepStrictEqual(Object.keys(agent?.metadata ?? {}), ["step", "_halted_by", "_halted_at", "_halt_reason"])
      yield* TestClock.adjust("10 minutes")
      yield* service.checkStale()
      has((yield* list)[0]!, { status: "halted" })
    }).pipe(Effect.provide(memory()))
  )

  it.effect("cannot be touched by a heartbeat, nor by closing the agent (PRS-16, H-09)", () =>
    Effect.gen(function* () {
      const service = yield* presence
      yield* halt()
      const forged = { _halted_by: "", _halt_reason: null, _halted_at: null, _halt_: 1, fine: 1 }
      yield* Effect.forEach(Array.from({ length: 50 }), () => service.heartbeat(agentId, { metadata: forged }), {
        concurrency: "unbounded"
      })
      const [agent] = yield* list
      has(agent?.metadata ?? {}, { _halted_by: "ada", _halt_reason: "enough", fine: 1, _halt_: undefined })
      yield* service.closeAgent(agentId)
      assert.strictEqual((yield* Effect.flip(assertNotHalted()))._tag, "AgentHaltedError")
      yield* service.heartbeat("free", { metadata: { _halted_by: "nobody" } })
      assert.isFalse(yield* isHalted("free"))
    }).pipe(Effect.provide(memory()))
  )

  it.effect("keeps a reason of 512 characters, escaped and without controls (PRS-15)", () =>
    Effect.gen(function* () {
      const service = yield* presence
      const reason = `a\\b\nc\td\r\u0000\u001b[31m${"\u{1f600}".repeat(600)}`
      const made = yield* service.halt(agentId, { by: "ada", reason })
      assert.isAtMost(made.reason.length, 512)
      assert.isTrue(made.reason.startsWith("a\\\\b\\nc\\td\\r"))
      assert.isTrue(made.reason.isWellFormed())
      assert.strictEqual((yield* Effect.flip(assertNotHalted()))._tag, "AgentHaltedError")
      const error = yield* Effect.flip(service.halt("other", { by: "ada", reason: 5 as never }))
      assert.strictEqual(error._tag, "InvalidInput")
    }).pipe(Effect.provide(memory()))
  )

  it.effect(
    "counts by the normalised id: another spelling of it is the same agent, another case is another (H-08)",
    () =>
      Effect.gen(function* () {
        yield* halt("caf\u00e9")
        for (const same of ["cafe\u0301", "caf\u00e9\u0000", "\u001b[1mcaf\u00e9"]) assert.isTrue(yield* isHalted(same))
        assert.isFalse(yield* isHalted("Caf\u00e9"))
      }).pipe(Effect.provide(memory()))
  )

  it.effect("fails with HaltPersistenceError when it was not written, and then stops nobody (PRS-12, V8-14)", () =>
    Effect.gen(function* () {
      for (const how of ["down", "hanging"] as const) {
        const line = newLine()
        yield* Effect.gen(function* () {
          yield* assertNotHalted()
          line.state = how
          const error = yield* doneWithin("5 seconds")(Effect.flip(halt()))
          assert.strictEqual(error._tag, "HaltPersistenceError")
          assert.isTrue(isGovernanceError(error))
          line.state = "up"
          assert.isFalse(yield* isHalted())
          yield* halt()
          assert.isTrue(yield* isHalted())
          line.state = how
          assert.strictEqual((yield* doneWithin("5 seconds")(Effect.flip(resume())))._tag, "HaltPersistenceError")
          assert.isTrue(yield* doneWithin("2 seconds")(isHalted()))
        }).pipe(Effect.provide(lined(line), { local: true }))
      }
    })
  )

  it.effect("leaves no marker when only its row cannot be written (H-10)", () => {
    const line = newLine()
    return Effect.gen(function* () {
      line.only = ["audit"]
      line.state = "down"
      assert.strictEqual((yield* Effect.flip(halt()))._tag, "HaltPersistenceError")
      line.state = "up"
      yield* (yield* presence).forceRefreshHaltedCache
      assert.isFalse(yield* isHalted())
      yield* halt()
      line.state = "down"
      assert.strictEqual((yield* Effect.flip(resume()))._tag, "HaltPersistenceError")
      line.state = "up"
      assert.isTrue(yield* isHalted())
    }).pipe(Effect.provide(lined(line)))
  })
})

describe("The halt cache", () => {
  it.effect(
    "asks the store once per TTL, and one store call serves fifty waiting callers (PRS-06, PRS-09, PRF-03)",
    () => {
      const line = newLine()
      return Effect.gen(function* () {
        const read = () => line.asked.get("presence.halts") ?? 0
        yield* assertNotHalted()
        const before = read()
        for (let i = 0; i < 100; i++) yield* assertNotHalted()
        assert.strictEqual(read(), before)
        yield* TestClock.adjust("5 seconds")
        const gate = yield* Deferred.make<void>()
        line.after = (name) => (name === "presence.halts" ? Deferred.await(gate) : Effect.void)
        const callers = yield* Effect.forEach(Array.from({ length: 50 }), () => Effect.forkChild(isHalted()))
        for (let i = 0; i < 10; i++) yield* Effect.yieldNow
        assert.strictEqual(read(), before + 1)
        yield* Fiber.interrupt(callers[0]!)
        yield* Deferred.succeed(gate, undefined)
        const answers = yield* Effect.forEach(callers.slice(1), Fiber.join)
        assert.deepStrictEqual(new Set(answers), new Set([false]))
        assert.strictEqual(read(), before + 1)
      }).pipe(Effect.provide(lined(line, { signal: "silent" })))
    }
  )

  it.effect("notices the halt of another process within haltCacheTtl when no signal comes (V8-13, H-04, G8)", () => {
    const line = newLine()
    return Effect.gen(function* () {
      yield* assertNotHalted()
      // What another process does: the store changes, nobody tells this one.
      const { PresenceStore } = yield* Effect.promise(() => import("../../src/services/PresenceStore.ts"))
      const store = yield* PresenceStore
      yield* store.halt({ agentId: agentId as never, haltedBy: "ada" as never, reason: "elsewhere" })
      assert.isFalse(yield* isHalted())
      yield* TestClock.adjust("2 seconds")
      assert.isTrue(yield* isHalted())
      yield* store.resume(agentId as never)
      assert.isTrue(yield* isHalted())
      yield* (yield* presence).forceRefreshHaltedCache
      assert.isFalse(yield* isHalted())
    }).pipe(Effect.provide(lined(line, { signal: "silent", haltCacheTtl: "2 seconds" })))
  })

  it.effect("interrupts a running call within haltCacheTtl when no signal comes (BEY-05, H-04)", () => {
    const line = newLine()
    return Effect.gen(function* () {
      yield* (yield* AgentScope).register({ agentId, allowedTools: ["*"] })
      const fiber = yield* Effect.forkChild(
        Effect.flip(Effect.never.pipe(governed({ agentId, sessionId: "s", tool: "t" })))
      )
      for (let i = 0; i < 20; i++) yield* Effect.yieldNow
      const { PresenceStore } = yield* Effect.promise(() => import("../../src/services/PresenceStore.ts"))
      yield* (yield* PresenceStore).halt({ agentId: agentId as never, haltedBy: "ada" as never, reason: "elsewhere" })
      yield* TestClock.adjust("5 seconds")
      const error = yield* doneWithin("1 second")(Fiber.join(fiber))
      assert.strictEqual(error._tag, "AgentHaltedError")
      assert.deepStrictEqual(yield* kinds("s"), ["tool.call", "tool.result"])
    }).pipe(Effect.provide(lined(line, { signal: "silent" })))
  })

  it.effect(
    "keeps the last known state while the store is away: halted stays halted, live stays live, with a warning (PRS-09, DEC-10)",
    () => {
      const line = newLine()
      const log = capture()
      return Effect.gen(function* () {
        yield* halt()
        yield* assertNotHalted("live")
        line.state = "down"
        yield* TestClock.adjust("1 minute")
        assert.isTrue(yield* isHalted())
        yield* assertNotHalted("live")
        assert.isAtLeast(log.named("presence.halt_refresh_failed").length, 1)
        line.state = "hanging"
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* doneWithin("1 second")(Effect.flip(assertNotHalted())))._tag, "AgentHaltedError")
      }).pipe(Effect.provide(lined(line)), Effect.provide(log.layer))
    }
  )

  it.effect("makes nobody wait again and again for a store that is away (INV-1)", () => {
    const line = newLine()
    return Effect.gen(function* () {
      yield* assertNotHalted()
      line.state = "hanging"
      yield* TestClock.adjust("5 seconds")
      yield* doneWithin("1 second")(assertNotHalted())
      // Within the pause after a failure the last known state is the answer at once.
      yield* doneWithin("0 seconds")(assertNotHalted())
      line.state = "up"
      yield* TestClock.adjust("1 second")
      const before = line.asked.get("presence.halts") ?? 0
      yield* assertNotHalted()
      assert.strictEqual(line.asked.get("presence.halts"), before + 1)
    }).pipe(Effect.provide(lined(line, { signal: "silent" })))
  })

  it.effect(
    "with haltOnUnknown deny nothing is allowed once the TTL is over and the store is away (H-03, DEC-10, G8)",
    () =>
      Effect.gen(function* () {
        for (const how of ["down", "hanging"] as const) {
          const line = newLine()
          yield* Effect.gen(function* () {
            yield* (yield* AgentScope).register({ agentId, allowedTools: ["*"] })
            yield* assertNotHalted()
            line.state = how
            yield* TestClock.adjust("4 seconds")
            yield* assertNotHalted()
            yield* TestClock.adjust("1 second")
            for (let i = 0; i < 3; i++) {
              const error = yield* doneWithin("1 second")(Effect.flip(assertNotHalted()))
              assert.strictEqual(error._tag, "StoreError")
            }
            const scope = yield* AgentScope
            assert.strictEqual(
              (yield* doneWithin("1 second")(Effect.flip(scope.check(agentId, { tool: "x" }))))._tag,
              "StoreError"
            )
            line.state = "up"
            yield* TestClock.adjust("1 second")
            yield* assertNotHalted()
          }).pipe(Effect.provide(lined(line, { haltOnUnknown: "deny", signal: "silent" }), { local: true }))
        }
      })
  )

  it.effect("measures its age by the monotonic clock: a wall clock that jumps a day changes nothing (H-05, G8)", () => {
    const line = newLine()
    let skew = 0
    return Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const skewed: Clock.Clock = {
        ...clock,
        sleep: (duration) => clock.sleep(duration),
        monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
        monotonicTimeNanos: clock.monotonicTimeNanos,
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + skew,
        currentTimeMillis: Effect.sync(() => clock.currentTimeMillisUnsafe() + skew)
      }
      yield* Effect.gen(function* () {
        yield* assertNotHalted()
        const { PresenceStore } = yield* Effect.promise(() => import("../../src/services/PresenceStore.ts"))
        const store = yield* PresenceStore
        yield* store.halt({ agentId: agentId as never, haltedBy: "ada" as never, reason: "elsewhere" })
        const before = line.asked.get("presence.halts") ?? 0
        skew = 86_400_000
        assert.isFalse(yield* isHalted())
        assert.strictEqual(line.asked.get("presence.halts"), before)
        skew = -86_400_000
        yield* TestClock.adjust("5 seconds")
        assert.isTrue(yield* isHalted())
      }).pipe(
        Effect.provide(lined(line, { signal: "silent" }), { local: true }),
        Effect.provideService(Clock.Clock, skewed)
      )
    })
  })

  it.effect("a slow read that began before a halt does not bring the agent back to life (I6)", () => {
    const line = newLine()
    return Effect.gen(function* () {
      yield* assertNotHalted()
      yield* TestClock.adjust("5 seconds")
      const gate = yield* Deferred.make<void>()
      const reading = yield* Deferred.make<void>()
      line.after = (name) =>
        name === "presence.halts"
          ? Effect.andThen(Deferred.succeed(reading, undefined), Deferred.await(gate))
          : Effect.void
      const slow = yield* Effect.forkChild(isHalted())
      yield* Deferred.await(reading)
      delete line.after
      yield* halt()
      yield* Deferred.succeed(gate, undefined)
      assert.isTrue(yield* Fiber.join(slow))
      assert.isTrue(yield* isHalted())
    }).pipe(Effect.provide(lined(line, { signal: "silent" })))
  })
})

describe("Reads of halts that overtake each other", () => {
  it.effect("leave the newest: what an older one brings later is dropped (I6)", () => {
    const line = newLine()
    return Effect.gen(function* () {
      yield* halt()
      yield* TestClock.adjust("5 seconds")
      const gate = yield* Deferred.make<void>()
      const reading = yield* Deferred.make<void>()
      line.after = (name) =>
        name === "presence.halts"
          ? Effect.andThen(Deferred.succeed(reading, undefined), Deferred.await(gate))
          : Effect.void
      const slow = yield* Effect.forkChild(isHalted())
      yield* Deferred.await(reading)
      delete line.after
      yield* resume()
      assert.isFalse(yield* isHalted())
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(slow)
      assert.isFalse(yield* isHalted())
    }).pipe(Effect.provide(lined(line, { signal: "silent" })))
  })
})

describe("AgentHaltedError", () => {
  it.effect("is no GovernanceError: a handler for that union does not catch it (ERR-13, H-11)", () =>
    Effect.gen(function* () {
      yield* halt()
      const swallowed = yield* Effect.void.pipe(
        governed({ agentId, tool: "x" }),
        Effect.catchIf(isGovernanceError, () => Effect.succeed("swallowed")),
        Effect.exit
      )
      assert.isTrue(Exit.isFailure(swallowed))
      const error = yield* Effect.flip(assertNotHalted())
      assert.isFalse(isGovernanceError(error))
      assert.isTrue(isHaltError(error))
      assert.isTrue(isHaltError(new Error("wrapped", { cause: new Error("twice", { cause: error }) })))
      // The type says so too: were it part of the union, this assignment would not compile.
      const outside: AgentHaltedError extends GovernanceError ? "inside" : "outside" = "outside"
      assert.strictEqual(outside, "outside")
    }).pipe(Effect.provide(memory()))
  )

  it.effect("comes again at the next call when a host swallows everything (H-11)", () =>
    Effect.gen(function* () {
      yield* halt()
      const governor = yield* Governor
      for (let i = 0; i < 3; i++) {
        const call = governor.run({ agentId, tool: "x" }, () => Effect.succeed("ran"))
        assert.strictEqual(yield* Effect.catch(call, (error) => Effect.succeed(error._tag)), "AgentHaltedError")
      }
    }).pipe(Effect.provide(memory()))
  )
})
