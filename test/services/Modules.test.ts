import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, type Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { AgentId, OperatorId } from "../../src/schema/Ids.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Audit } from "../../src/services/Audit.ts"
import { AuditStore } from "../../src/services/AuditStore.ts"
import { Contracts } from "../../src/services/Contracts.ts"
import { Cost } from "../../src/services/Cost.ts"
import { governed } from "../../src/services/Governor.ts"
import { Loop } from "../../src/services/Loop.ts"
import { Policies } from "../../src/services/Policies.ts"
import { PolicyStore } from "../../src/services/PolicyStore.ts"
import { Presence } from "../../src/services/Presence.ts"
import { PresenceStore } from "../../src/services/PresenceStore.ts"
import { Prompts } from "../../src/services/Prompts.ts"
import { Settings } from "../../src/services/Settings.ts"
import { Wrappers } from "../../src/services/Wrappers.ts"
import { capture, cent, kinds, lined, memory, newLine } from "./World.ts"

const agentId = "clerk"
const call = (more: object = {}) =>
  Effect.succeed("ran").pipe(governed({ agentId, sessionId: "s1", tool: "pay", ...more }))
const allow = Effect.flatMap(AgentScope, (scope) => scope.register({ agentId, allowedTools: ["*"] }))

/** Runs with one module off and returns what was logged. */
const off = <A, E>(flag: object, self: Effect.Effect<A, E, Layer.Success<ReturnType<typeof memory>>>) => {
  const log = capture()
  return Effect.as(self, log).pipe(Effect.provide(memory(flag)), Effect.provide(log.layer))
}

const moduleOf = (exit: Exit.Exit<unknown, unknown>) => {
  const failure = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
  return typeof failure === "object" && failure !== null && "module" in failure ? failure.module : exit._tag
}

/** Every key of the service fails with ModuleDisabledError when it is called. */
const allDisabled = (service: object, module: string, pure: ReadonlyArray<string> = []) =>
  Effect.forEach(
    Object.entries(service).filter(([key]) => !pure.includes(key)),
    Effect.fnUntraced(function* ([key, member]) {
      let made: unknown = member
      if (typeof made === "function") made = made("a", "b", { agentId })
      if (typeof made === "function") made = made(Effect.void)
      assert.isTrue(Effect.isEffect(made), key)
      const exit = yield* Effect.exit(made as Effect.Effect<unknown, unknown>)
      assert.strictEqual(moduleOf(exit), module, key)
    })
  )

describe("A module that is switched off", () => {
  it.effect("scope: warned once, direct calls fail, governed calls are admitted (ENT-05)", () =>
    Effect.gen(function* () {
      const log = yield* off(
        { enableScope: false },
        Effect.gen(function* () {
          yield* allDisabled(yield* AgentScope, "scope", ["room"])
          assert.strictEqual(yield* call(), "ran")
        })
      )
      assert.deepStrictEqual(
        log.named("scope.disabled").map(({ level }) => level),
        ["Warn"]
      )
    })
  )

  it.effect("cost: warned once, direct calls fail, governed calls are admitted past a stored cap (ENT-05)", () =>
    Effect.gen(function* () {
      const log = yield* off(
        { enableCost: false },
        Effect.gen(function* () {
          yield* allDisabled(yield* Cost, "cost", ["hold"])
          yield* allow
          yield* (yield* Policies).register(agentId, "budget", { perSessionUsd: 0 })
          assert.strictEqual(yield* call({ maxUsd: 5 }), "ran")
        })
      )
      assert.deepStrictEqual(
        log.named("cost.disabled").map(({ level }) => level),
        ["Warn"]
      )
    })
  )

  it.effect("loop: warned once, direct calls fail, governed calls are not counted by a stored policy (ENT-05)", () =>
    Effect.gen(function* () {
      const log = yield* off(
        { enableLoop: false },
        Effect.gen(function* () {
          yield* allDisabled(yield* Loop, "loop")
          yield* allow
          yield* (yield* Policies).register(agentId, "loop", {
            windowSeconds: 60,
            maxCalls: 1,
            progress: { maxRepeats: 1 }
          })
          for (let i = 0; i < 4; i++) assert.strictEqual(yield* call({ input: { same: true } }), "ran")
        })
      )
      assert.deepStrictEqual(
        log.named("loop.disabled").map(({ level }) => level),
        ["Warn"]
      )
    })
  )

  it.effect(
    "presence: warned once that the halt switch is off, direct calls fail, governed calls are admitted (ENT-05, ENT-08)",
    () =>
      Effect.gen(function* () {
        const log = yield* off(
          { enablePresence: false },
          Effect.gen(function* () {
            yield* allDisabled(yield* Presence, "presence")
            yield* allow
            assert.strictEqual(yield* call(), "ran")
          })
        )
        const [line, ...more] = log.named("presence.disabled")
        assert.strictEqual(line?.level, "Warn")
        assert.include(line?.message, "halt switch")
        assert.deepStrictEqual(more, [])
      })
  )

  it.effect(
    "presence off does not loosen what the store says: a stored halt still refuses at admission (ENT-08, DEC-10)",
    () =>
      Effect.gen(function* () {
        yield* allow
        const store = yield* PresenceStore
        yield* store.halt({ agentId: AgentId.make(agentId), haltedBy: OperatorId.make("ada"), reason: "elsewhere" })
        assert.strictEqual((yield* Effect.flip(call()))._tag, "AgentHaltedError")
      }).pipe(Effect.provide(memory({ enablePresence: false })))
  )

  it.effect("audit: stays as a ring in memory, loudly; nothing reaches the log's own store (ENT-06)", () => {
    const line = newLine()
    const log = capture()
    return Effect.gen(function* () {
      yield* allow
      yield* call()
      yield* Effect.exit(Effect.fail("no").pipe(governed({ agentId, sessionId: "s1", tool: "pay" })))
      yield* (yield* Presence).halt(agentId, { by: "ada", reason: "stop" })
      assert.deepStrictEqual(yield* kinds("s1"), ["tool.call", "tool.result", "tool.call", "tool.result"])
      assert.isUndefined([...line.asked.keys()].find((name) => name.startsWith("audit.")))
      const [warning] = log.named("audit.disabled")
      assert.strictEqual(warning?.level, "Warn")
      assert.include(warning?.message, "never in production")
      const audit = yield* Audit
      for (let i = 0; i < 10_050; i++) yield* audit.note({ kind: "filler", agentId })
      assert.deepStrictEqual(
        yield* Effect.map((yield* AuditStore).find({ chain: "session:s1" as never }), (rows) => rows.length),
        0
      )
    }).pipe(Effect.provide(lined(line, { enableAudit: false })), Effect.provide(log.layer))
  })

  for (const flag of ["enableScope", "enableCost"]) {
    it.effect(
      `contracts: off without ${flag}, warned once; direct calls fail, governed calls are admitted (ENT-07)`,
      () =>
        Effect.gen(function* () {
          const log = yield* off(
            { [flag]: false },
            Effect.gen(function* () {
              yield* allDisabled(yield* Contracts, "contracts")
              yield* Effect.ignore(allow)
              assert.strictEqual(yield* call(), "ran")
            })
          )
          assert.deepStrictEqual(
            log.named("contracts.disabled").map(({ level }) => level),
            ["Warn"]
          )
        })
    )
  }

  it.effect("prompts: every call fails; nothing is warned, since nothing is enforced (ENT-05)", () =>
    Effect.gen(function* () {
      const log = yield* off(
        { enablePrompts: false },
        Effect.flatMap(Prompts, (all) => allDisabled(all, "prompts"))
      )
      assert.deepStrictEqual(
        log.lines.filter(({ level }) => level === "Warn"),
        []
      )
    })
  )

  it.effect("routing without cost is a configuration error, not a silence (ENT-07)", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Effect.provide(Effect.void, memory({ enableRouting: true, enableCost: false })))
      assert.isTrue(Exit.isFailure(exit))
    })
  )

  it.effect("with everything on nothing is warned at start (ENT-05)", () =>
    Effect.gen(function* () {
      const log = yield* off({}, allow)
      assert.deepStrictEqual(
        log.lines.filter(({ level }) => level === "Warn"),
        []
      )
    })
  )

  it.effect("all options are in the configuration, which nobody changes (ENT-14)", () =>
    Effect.gen(function* () {
      const settings = yield* Settings
      assert.strictEqual(settings.costFailOpen, true)
      assert.strictEqual(settings.enableLoop, true)
    }).pipe(Effect.provide(memory({ costFailOpen: true })))
  )
})

describe("The warning that no wrapper is there (ENT-11)", () => {
  const warned = (options: object, self: Effect.Effect<void, never, Wrappers>) => {
    const log = capture()
    return Effect.gen(function* () {
      yield* self
      yield* TestClock.adjust("1 minute")
      return log.named("no_wrappers")
    }).pipe(Effect.provide(memory(options)), Effect.provide(log.layer))
  }

  it.effect("comes once, soon after the start", () =>
    Effect.gen(function* () {
      const lines = yield* warned({ warnOnNoWrappers: true }, Effect.void)
      assert.deepStrictEqual(
        lines.map(({ level }) => level),
        ["Warn"]
      )
    })
  )

  it.effect("does not come when a wrapper registered, nor when it is not wanted", () =>
    Effect.gen(function* () {
      const register = Effect.flatMap(Wrappers, (wrappers) => wrappers.register("openai"))
      assert.deepStrictEqual(yield* warned({ warnOnNoWrappers: true }, register), [])
      assert.deepStrictEqual(yield* warned({ warnOnNoWrappers: false }, Effect.void), [])
    })
  )
})

describe("Starting and closing", () => {
  it.effect(
    "starts while the store is away; what is registered then is queued, retried and stored (ENT-10, INV-1)",
    () => {
      const line = newLine("down")
      return Effect.gen(function* () {
        yield* allow
        yield* (yield* Cost).register({ agentId, perSessionUsd: "0.01" })
        assert.strictEqual((yield* Effect.flip(call()))._tag, "StoreError")
        line.state = "up"
        yield* TestClock.adjust("10 seconds")
        const rows = yield* (yield* PolicyStore).all
        assert.deepStrictEqual(rows.map(({ kind }) => kind).sort(), ["budget", "scope"])
        assert.strictEqual((yield* Effect.flip(call({ maxUsd: 1 })))._tag, "BudgetExceeded")
      }).pipe(Effect.provide(lined(line)))
    }
  )

  it.effect("writes the latest of several registrations, whatever was under way (ENT-10)", () => {
    const line = newLine("down")
    return Effect.gen(function* () {
      const cost = yield* Cost
      for (const usd of ["0.01", "0.02", "0.03"]) yield* cost.register({ agentId, perSessionUsd: usd })
      line.state = "up"
      yield* TestClock.adjust("10 seconds")
      const rows = yield* (yield* PolicyStore).all
      assert.deepStrictEqual(
        rows.map(({ body }) => body),
        [{ perSessionUsd: "0.03" }]
      )
      assert.strictEqual((yield* cost.snapshot(agentId, null)).sessionUsdRemaining, (3n * cent) as never)
    }).pipe(Effect.provide(lined(line)))
  })

  it.effect(
    "closing makes one last attempt for what is not stored, and does not wait for a store that is away (ENT-10, ENT-12)",
    () =>
      Effect.gen(function* () {
        for (const atLast of ["up", "down"] as const) {
          const line = newLine("down")
          const log = capture()
          const outer = yield* Effect.gen(function* () {
            yield* allow
            line.state = atLast
            return yield* PolicyStore
          }).pipe(Effect.provide(lined(line), { local: true }), Effect.provide(log.layer))
          line.state = "up"
          const rows = yield* outer.all
          assert.strictEqual(rows.length, atLast === "up" ? 1 : 0)
          assert.strictEqual(log.named("policy.not_stored").length, atLast === "up" ? 0 : 1)
        }
      })
  )

  it.effect("closing does not wait for ever for a store that hangs (ENT-12)", () => {
    const line = newLine("hanging")
    return Effect.void.pipe(
      Effect.andThen(allow),
      Effect.provide(lined(line), { local: true }),
      Effect.exit,
      doneWithinStartAndClose
    )
  })
})

// Five seconds for the policies of the start, one for the halts, five to close.
const doneWithinStartAndClose = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(self)
    for (let i = 0; i < 15; i++) {
      yield* TestClock.adjust("1 second")
      for (let j = 0; j < 20; j++) yield* Effect.yieldNow
    }
    assert.isTrue(Option.isSome(Option.fromUndefinedOr(fiber.pollUnsafe())))
  })
