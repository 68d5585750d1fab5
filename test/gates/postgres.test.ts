import { assert, layer } from "@effect/vitest"
import { Clock, Effect, Fiber } from "effect"
import { SqlClient } from "effect/sql"
import { AgentId } from "../../src/schema/Ids.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Gates } from "../../src/services/Gates.ts"
import { Governor, governed } from "../../src/services/Governor.ts"
import { Sweep } from "../../src/services/Sweep.ts"
import { freshDatabase, layerSql } from "../support/database.ts"
import { admin, grant, inside, noWait, pay, prepare, problem, processOn } from "./Process.ts"

layer(freshDatabase, { excludeTestServices: true, timeout: "60 seconds" })("Gates on Postgres", (it) => {
  it.effect("a call waits in one process, another grants it, the first goes on, once (GAT-03, BEY-10)", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* processOn(), yield* processOn()]
      yield* inside(a)(prepare("waiter"))
      let runs = 0
      const fiber = yield* Effect.forkChild(inside(a)(Effect.sync(() => void runs++).pipe(governed(pay("waiter")))))
      const gates = Effect.flatMap(Gates, (service) => service.list({ agentId: "waiter" }))
      while ((yield* inside(b)(gates)).length === 0) yield* Effect.sleep(10)
      assert.strictEqual(runs, 0)
      yield* inside(b)(grant("waiter"))
      yield* Fiber.join(fiber)
      assert.strictEqual(runs, 1)
      assert.isTrue(
        yield* inside(b)(Effect.flatMap(Audit, (audit) => audit.verifyChain({ chain: "session:s-waiter" })))
      )
    }).pipe(Effect.scoped)
  )

  it.effect(
    "a request outlives its process: asked, granted and used by three of them, and resumed twice more it asks anew (BEY-02)",
    () =>
      Effect.gen(function* () {
        let runs = 0
        const call = Effect.sync(() => void runs++).pipe(governed(pay("restarted", noWait)))
        const asked = Effect.flatMap(processOn(), (process) =>
          inside(process)(Effect.andThen(prepare("restarted"), Effect.exit(call)))
        )
        assert.strictEqual(problem(yield* Effect.scoped(asked)), "ApprovalPending")
        yield* Effect.scoped(Effect.flatMap(processOn(), (process) => inside(process)(grant("restarted"))))
        for (const expected of ["none", "ApprovalPending", "ApprovalPending"]) {
          const resumed = Effect.flatMap(processOn(), (process) => inside(process)(Effect.exit(call)))
          assert.strictEqual(problem(yield* Effect.scoped(resumed)), expected)
        }
        assert.strictEqual(runs, 1)
      })
  )

  it.effect(
    "20 racers in two processes on each of 20 tokens: 20 grants; 20 users of each: 20 runs (T-02, I5, G6)",
    () =>
      Effect.gen(function* () {
        const [a, b] = [yield* processOn(), yield* processOn()]
        yield* inside(a)(prepare("racer"))
        yield* inside(b)(prepare("racer"))
        const inputs = Array.from({ length: 20 }, (_, n) => ({ n }))
        const racers = Array.from({ length: 20 }, (_, i) => i)
        let [grants, runs] = [0, 0]
        yield* Effect.forEach(inputs, (input) =>
          inside(a)(Effect.exit(Effect.void.pipe(governed(pay("racer", { input, ...noWait })))))
        )
        const cards = yield* inside(a)(Effect.flatMap(Gates, (gates) => gates.list({ agentId: "racer" })))
        assert.strictEqual(cards.length, 20)
        yield* Effect.forEach(
          cards,
          ({ token }) =>
            Effect.forEach(
              racers,
              (i) =>
                Effect.flatMap(Gates, (gates) => gates.grant(token ?? "", { by: `r${i}z` })).pipe(
                  Effect.tap(() => Effect.sync(() => void grants++)),
                  Effect.ignore,
                  inside(i % 2 ? a : b)
                ),
              { concurrency: "unbounded" }
            ),
          { concurrency: 2 }
        )
        assert.strictEqual(grants, 20)
        yield* Effect.forEach(
          inputs,
          (input) =>
            Effect.forEach(
              racers,
              (i) =>
                inside(i % 2 ? a : b)(
                  Effect.exit(Effect.sync(() => void runs++).pipe(governed(pay("racer", { input, ...noWait }))))
                ),
              { concurrency: "unbounded" }
            ),
          { concurrency: 2 }
        )
        assert.strictEqual(runs, 20)
        const rows = yield* inside(a)(
          Effect.flatMap(Audit, (audit) => audit.getEvents({ kinds: ["approval.granted"], limit: 1000 }))
        )
        assert.strictEqual(rows.filter(({ agentId }) => agentId === "racer").length, 20)
      }).pipe(Effect.scoped),
    { timeout: 180_000 }
  )

  it.effect("a row that somebody changed to granted runs nothing, and raises an alarm (T-18)", () =>
    Effect.gen(function* () {
      const a = yield* processOn()
      yield* inside(a)(prepare("forged"))
      const call = Effect.exit(Effect.void.pipe(governed(pay("forged", noWait))))
      yield* inside(a)(call)
      yield* admin(
        `UPDATE governance_gates SET state = 'granted', approvers = '{rita}', decision_mac = repeat('0', 64),
           approved_hash = action_hash WHERE agent = 'forged'`
      )
      assert.strictEqual(problem(yield* inside(a)(call)), "ApprovalDenied forged")
      const alarms = yield* inside(a)(
        Effect.flatMap(Audit, (audit) =>
          audit.getEvents({ kinds: ["approval.token_rejected"], agentId: AgentId.make("forged") })
        )
      )
      assert.strictEqual(alarms.length, 1)
    }).pipe(Effect.scoped)
  )

  it.effect(
    "a genuine grant with one field changed is worth nothing: people, action, expiry, arguments (T-05, T-18)",
    () =>
      Effect.gen(function* () {
        const a = yield* processOn()
        for (const [i, change] of [
          `approvers = '{sam}'`,
          `expires_at = expires_at + interval '1 day'`,
          `approved_hash = repeat('a', 64)`,
          `edited_payload = '{"usd":"500"}'`,
          `action_hash = repeat('b', 64)`,
          `decision_mac = overlay(decision_mac placing CASE left(decision_mac, 1) WHEN '0' THEN '1' ELSE '0' END from 1 for 1)`
        ].entries()) {
          const agentId = `changed-${i}`
          yield* inside(a)(prepare(agentId))
          const call = Effect.exit(Effect.void.pipe(governed(pay(agentId, noWait))))
          yield* inside(a)(call)
          yield* inside(a)(grant(agentId))
          yield* admin(`UPDATE governance_gates SET ${change} WHERE agent = '${agentId}'`)
          assert.strictEqual(problem(yield* inside(a)(call)), "ApprovalDenied forged", change)
        }
      }).pipe(Effect.scoped)
  )

  it.effect(
    "whoever dies between use and act leaves `outcome unknown`; it never runs by itself, and the next card says so (T-07, BEY-02)",
    () =>
      Effect.gen(function* () {
        const a = yield* processOn({ leaseDuration: "1 second" })
        yield* inside(a)(prepare("crashed"))
        let runs = 0
        const call = Effect.exit(Effect.sync(() => void runs++).pipe(governed(pay("crashed", noWait))))
        yield* inside(a)(call)
        yield* inside(a)(grant("crashed"))
        // Admitted, and then nothing more: as far as the database can see, the process is gone.
        const dead = yield* processOn({ leaseDuration: "1 second" })
        yield* inside(dead)(prepare("crashed"))
        const admitted = Effect.flatMap(Governor, (governor) => governor.admit(pay("crashed", noWait)))
        yield* Effect.forkDetach(inside(dead)(Effect.scoped(Effect.andThen(admitted, Effect.never))))
        const consumed = () => admin(`SELECT 1 FROM governance_gates WHERE agent = 'crashed' AND state = 'consumed'`)
        while ((yield* consumed()).length === 0) yield* Effect.sleep(10)
        yield* admin(`UPDATE governance_tickets SET expires_at = now() - interval '1 minute' WHERE agent = 'crashed'`)
        const swept = yield* inside(a)(Effect.flatMap(Sweep, (sweep) => sweep.run))
        const orphans = yield* inside(a)(
          Effect.flatMap(Audit, (audit) =>
            audit.getEvents({ kinds: ["call.orphaned"], agentId: AgentId.make("crashed") })
          )
        )
        assert.isAtMost(swept.orphaned, 1)
        assert.deepStrictEqual(
          orphans.map(({ metadata }) => JSON.parse(JSON.stringify(metadata)).approvedAct),
          ["outcome unknown"]
        )
        assert.strictEqual(problem(yield* inside(a)(call)), "ApprovalPending")
        const [card] = yield* inside(a)(Effect.flatMap(Gates, (gates) => gates.list({ agentId: "crashed" })))
        assert.deepStrictEqual([card?.earlierOutcome, runs], ["unknown", 0])
      }).pipe(Effect.scoped)
  )

  it.effect("time is the database's: a host a day ahead or behind decides nothing differently (T-04)", () =>
    Effect.gen(function* () {
      const real = yield* Clock.Clock
      for (const days of [-1, 1]) {
        const agentId = `skewed-${days}`
        const skew = days * 86_400_000
        const skewed: Clock.Clock = Object.assign(Object.create(real), {
          currentTimeMillisUnsafe: () => real.currentTimeMillisUnsafe() + skew,
          currentTimeMillis: Effect.map(real.currentTimeMillis, (ms) => ms + skew)
        })
        const a = yield* Effect.provideService(processOn(), Clock.Clock, skewed)
        yield* inside(a)(prepare(agentId))
        const call = inside(a)(Effect.exit(Effect.void.pipe(governed(pay(agentId, noWait)))))
        assert.strictEqual(problem(yield* call), "ApprovalPending")
        yield* Effect.provideService(inside(a)(grant(agentId)), Clock.Clock, skewed)
        assert.strictEqual(problem(yield* Effect.provideService(call, Clock.Clock, skewed)), "none")
        yield* call
        yield* admin(`UPDATE governance_gates SET expires_at = now() WHERE agent = '${agentId}' AND state = 'pending'`)
        const [card] = yield* inside(a)(Effect.flatMap(Gates, (gates) => gates.list({ agentId, which: "all" })))
        assert.strictEqual(card?.gate.state, "expired")
      }
    }).pipe(Effect.scoped)
  )

  it.effect("the runtime role can read requests and change them through the functions alone (A-17)", () =>
    Effect.gen(function* () {
      const denied = (text: string) =>
        Effect.flip(SqlClient.SqlClient.use((sql) => sql.unsafe(text).values)).pipe(
          Effect.provide(layerSql("app", { maxConnections: 1 }), { local: true })
        )
      for (const text of [
        `UPDATE governance_gates SET state = 'granted'`,
        `INSERT INTO governance_gate_votes SELECT * FROM governance_gate_votes`,
        "DELETE FROM governance_gates",
        "TRUNCATE governance_gates"
      ]) {
        assert.match(JSON.stringify(yield* denied(text)), /permission denied|42501/, text)
      }
    }).pipe(Effect.scoped)
  )
})
