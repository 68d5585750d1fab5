import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { Audit } from "../../src/services/Audit.ts"
import { governed } from "../../src/services/Governor.ts"
import { Policies } from "../../src/services/Policies.ts"
import { Presence } from "../../src/services/Presence.ts"
import { Sweep } from "../../src/services/Sweep.ts"
import { freshDatabase, TestDatabase } from "../support/database.ts"
import { admin, governance, mustHold } from "./Truth.ts"

/** Waits for `n` turns of the event loop: whatever an operation awaits, some turn is the one in which it does. */
const turns = (n: number) =>
  Effect.callback<void>((resume) => {
    let left = n
    const next = () => (left-- <= 0 ? resume(Effect.void) : setImmediate(next))
    next()
  })

/** Interrupts `act` after 0, 1, 2, ... turns until it has ended by itself a few times in a row. */
const atEveryAwait = Effect.fnUntraced(function* <E, R>(act: (n: number) => Effect.Effect<unknown, E, R>) {
  let interrupted = 0
  let done = 0
  let n = 0
  for (; done < 3 && n < 400; n++) {
    const fiber = yield* Effect.forkChild(act(n), { startImmediately: true })
    yield* turns(n)
    yield* Fiber.interrupt(fiber)
    const exit = yield* Fiber.await(fiber)
    if (Exit.isSuccess(exit)) done++
    else {
      done = 0
      interrupted++
      assert.isTrue(
        exit.cause.reasons.every(({ _tag }) => _tag === "Interrupt"),
        String(exit.cause)
      )
    }
  }
  return { interrupted, n }
})

describe("interruption at every await", () => {
  it.live("an append is done or not done, and stands once in its chain (F-09, G16)", () =>
    Effect.gen(function* () {
      const { appUrl } = yield* TestDatabase
      const use = Effect.gen(function* () {
        const audit = yield* Audit
        const event = { kind: "tool.call", agentId: "clerk", sessionId: "s" }
        yield* audit.require(event)
        const { interrupted } = yield* atEveryAwait(() => audit.require(event))
        assert.isAbove(interrupted, 0)
        yield* audit.require(event)
        yield* audit.verifyChain({ sessionId: "s" })
      })
      yield* Effect.provide(use, governance(appUrl), { local: true })
      yield* mustHold([])
    }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )

  it.live("a governed call holds nothing when it never ran, and is settled once when it did (F-09, BEY-01, G5)", () =>
    Effect.gen(function* () {
      const { appUrl } = yield* TestDatabase
      let ran = 0
      const use = Effect.gen(function* () {
        const policies = yield* Policies
        yield* policies.register("clerk", "scope", { allowedTools: ["work"] })
        yield* policies.register("clerk", "budget", { perSessionUsd: "100" })
        const call = governed({ agentId: "clerk", sessionId: "s", tool: "work", maxUsd: "0.01" })
        yield* call(Effect.void)
        const { interrupted } = yield* atEveryAwait(() =>
          call(
            Effect.sync(() => {
              ran++
            })
          )
        )
        assert.isAbove(interrupted, 0)
        const open = admin("SELECT count(*)::int FROM governance_tickets WHERE state = 'open'")
        for (let i = 0; i < 100 && (yield* open)[0]?.[0] !== 0; i++) yield* Effect.sleep("50 millis")
        assert.deepStrictEqual(yield* open, [[0]])
        yield* Effect.flatMap(Sweep, (sweep) => sweep.run)
      })
      yield* Effect.provide(use, governance(appUrl), { local: true })
      const [charged] = yield* admin(
        "SELECT count(*) FILTER (WHERE state = 'spent')::int, (SELECT used_usd::text FROM governance_cost_counters WHERE scope = 's:s'), (SELECT held_usd::text FROM governance_cost_counters WHERE scope = 's:s') FROM governance_tickets"
      )
      // The first call ran before the counting began. A call that was interrupted as it began to run may be charged.
      const spent = Number(charged?.[0])
      assert.isAtLeast(spent, ran + 1)
      assert.deepStrictEqual(charged?.slice(1), [`${spent * 10_000_000}`, "0"])
      yield* mustHold([], { caps: { "clerk s": 100_000_000_000n } })
    }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )

  it.live("a halt and its audit row are both there or both not (F-09, PRS-12)", () =>
    Effect.gen(function* () {
      const { appUrl } = yield* TestDatabase
      const use = Effect.gen(function* () {
        const presence = yield* Presence
        yield* presence.halt("warm", { by: "operator", reason: "test" })
        const { interrupted } = yield* atEveryAwait((n) =>
          presence.halt(`agent-${n}`, { by: "operator", reason: "test" })
        )
        assert.isAbove(interrupted, 0)
      })
      yield* Effect.provide(use, governance(appUrl), { local: true })
      const [row] = yield* admin(`
        SELECT (SELECT count(*)::int FROM governance_trees, jsonb_object_keys(halts)),
               (SELECT count(*)::int FROM governance_audit_events WHERE kind = 'agent.halted'),
               (SELECT count(*)::int FROM governance_trees t, jsonb_object_keys(t.halts) AS a(agent)
                  JOIN governance_audit_events e ON e.kind = 'agent.halted' AND e.agent = a.agent)`)
      assert.strictEqual(row?.[0], row?.[1])
      assert.strictEqual(row?.[0], row?.[2])
      yield* mustHold([])
    }).pipe(Effect.scoped, Effect.provide(freshDatabase, { local: true }))
  )
})
