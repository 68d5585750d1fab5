import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { eventOfGate } from "../../src/schema/GateRequest.ts"
import { AdmissionStore } from "../../src/services/AdmissionStore.ts"
import { Audit } from "../../src/services/Audit.ts"
import { Gates } from "../../src/services/Gates.ts"
import { governed } from "../../src/services/Governor.ts"
import { Policies } from "../../src/services/Policies.ts"
import { freshDatabase, TestDatabase } from "../support/database.ts"
import { admin, grant, inside, noWait, pay, prepare, problem, processOn } from "./Process.ts"

const cardsOf = (agentId: string) => Effect.flatMap(Gates, (gates) => gates.list({ agentId }))
const cardOf = (agentId: string) =>
  Effect.flatMap(cardsOf(agentId), ([card]) =>
    card === undefined ? Effect.die(new Error("no card")) : Effect.succeed(card)
  )
const stateOf = (agentId: string) => admin(`SELECT state FROM governance_gates WHERE agent = '${agentId}'`)

layer(freshDatabase, { excludeTestServices: true, timeout: "60 seconds" })("Gates on Postgres, at rest", (it) => {
  it.effect(
    "40 callers that wait hold no transaction, no lock, no money and no connection of others (GAT-03, INV-5)",
    () =>
      Effect.gen(function* () {
        const { appRole } = yield* TestDatabase
        const a = yield* processOn()
        yield* inside(a)(prepare("patient"))
        let runs = 0
        const call = (n: number) =>
          inside(a)(Effect.sync(() => void runs++).pipe(governed(pay("patient", { input: { n }, maxUsd: "1" }))))
        const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
        // One after the other: how many can ask in one moment is not the question here.
        for (let n = 0; n < 40; n++) {
          fibers.push(yield* Effect.forkChild(call(n)))
          const asked = `SELECT count(*)::int FROM governance_gates WHERE agent = 'patient'`
          while (Number((yield* admin(asked))[0]?.[0]) <= n) yield* Effect.sleep(10)
        }
        // What they hold is there whenever one looks; what the process does beside them (leases, sweeps) comes and goes.
        const transactions = admin(
          `SELECT pid || ' ' || xact_start FROM pg_stat_activity
          WHERE datname = current_database() AND usename = '${appRole}' AND xact_start IS NOT NULL`
        )
        let kept = new Set((yield* transactions).map(([one]) => String(one)))
        for (let i = 0; i < 10; i++) {
          yield* Effect.sleep(100)
          const now = new Set((yield* transactions).map(([one]) => String(one)))
          kept = new Set([...kept].filter((one) => now.has(one)))
        }
        assert.deepStrictEqual([...kept], [])
        assert.deepStrictEqual(yield* admin("SELECT 1 FROM governance_tickets WHERE agent = 'patient'"), [])
        const held = "SELECT 1 FROM governance_cost_counters WHERE agent = 'patient' AND (held_usd > 0 OR used_usd > 0)"
        assert.deepStrictEqual(yield* admin(held), [])
        const connections = `SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND usename = '${appRole}'`
        assert.isBelow(Number((yield* admin(connections))[0]?.[0]), fibers.length)
        // Others work meanwhile, in the same process and on the same pool.
        yield* inside(a)(prepare("busy"))
        yield* inside(a)(Effect.void.pipe(governed({ agentId: "busy", tool: "look" })))
        assert.strictEqual(runs, 0)
        yield* Fiber.interruptAll(fibers)
      }).pipe(Effect.scoped)
  )

  it.effect(
    "a decision whose row is refused is not made, and no request has two rows of one decision (V8-04, GAT-09)",
    () =>
      Effect.gen(function* () {
        const a = yield* processOn()
        yield* inside(a)(prepare("torn"))
        yield* inside(a)(Effect.exit(Effect.void.pipe(governed(pay("torn", noWait)))))
        const { gate, token } = yield* inside(a)(cardOf("torn"))
        const taken = { kind: "somebody else's", agentId: "torn", sessionId: "s-torn" }
        const id = eventOfGate(gate.requestId, "granted")
        yield* inside(a)(Effect.flatMap(Audit, (audit) => audit.require({ ...taken, id })))
        const act = Effect.flatMap(Gates, (gates) => Effect.exit(gates.grant(token ?? "", { by: "rita" })))
        assert.strictEqual(problem(yield* inside(a)(act)), "StoreError integrity")
        assert.deepStrictEqual(yield* stateOf("torn"), [["pending"]])
        assert.strictEqual(eventOfGate(gate.requestId, "denied"), id)
      }).pipe(Effect.scoped)
  )

  it.effect("a vote that was written past the functions counts for nothing (T-18, T-17)", () =>
    Effect.gen(function* () {
      const a = yield* processOn()
      yield* inside(a)(prepare("stuffed"))
      const policy = { requireApproval: ["pay"], quorum: 2 }
      yield* inside(a)(Effect.flatMap(Policies, (policies) => policies.register("stuffed", "gate", policy)))
      yield* inside(a)(Effect.exit(Effect.void.pipe(governed(pay("stuffed", noWait)))))
      yield* admin(
        `INSERT INTO governance_gate_votes (root, request, approver, action_hash, mac, at)
           SELECT root, request, 'sam', action_hash, repeat('0', 64), now() FROM governance_gates WHERE agent = 'stuffed'`
      )
      const first = yield* inside(a)(grant("stuffed", "rita"))
      assert.deepInclude(first, { state: "pending", missing: 1 })
      const second = yield* inside(a)(grant("stuffed", "tom"))
      assert.strictEqual(second.state, "granted")
      const [row] = yield* admin(`SELECT approvers FROM governance_gates WHERE agent = 'stuffed'`)
      assert.deepStrictEqual(row, [["rita", "tom"]])
    }).pipe(Effect.scoped)
  )

  it.effect(
    "a waiting request with one field changed cannot be decided: what is shown is what runs (T-18, T-05, T-13)",
    () =>
      Effect.gen(function* () {
        const a = yield* processOn()
        for (const [i, change] of [
          `payload = '{"usd":"0.01"}'`,
          `payload = NULL`,
          `kind = 'look'`,
          `action_hash = repeat('b', 64)`,
          `expires_at = expires_at + interval '1 day'`
        ].entries()) {
          const agentId = `dressed-${i}`
          yield* inside(a)(prepare(agentId))
          yield* inside(a)(Effect.exit(Effect.void.pipe(governed(pay(agentId, noWait)))))
          const { gate, token } = yield* inside(a)(cardOf(agentId))
          yield* admin(`UPDATE governance_gates SET ${change} WHERE request = '${gate.requestId}'`)
          for (const decide of ["grant", "deny"] as const) {
            const act = Effect.flatMap(Gates, (gates) => Effect.exit(gates[decide](token ?? "", { by: "rita" })))
            assert.strictEqual(problem(yield* inside(a)(act)), "ApprovalTokenError not_accepted", `${change} ${decide}`)
          }
          const now = yield* inside(a)(cardOf(agentId))
          if (!change.startsWith("expires_at")) assert.isNull(now.token, change)
          assert.deepStrictEqual(yield* stateOf(agentId), [["pending"]])
        }
      }).pipe(Effect.scoped)
  )

  it.effect("what became of a call is told to the next reviewer after its ticket is forgotten (T-07)", () =>
    Effect.gen(function* () {
      const a = yield* processOn()
      const outcomes: Array<unknown> = []
      for (const [state, agentId] of [
        ["spent", "ended"],
        ["released", "given-back"],
        ["orphaned", "lost"]
      ] as const) {
        yield* inside(a)(prepare(agentId))
        const call = inside(a)(Effect.exit(Effect.void.pipe(governed(pay(agentId, noWait)))))
        yield* call
        yield* inside(a)(grant(agentId))
        assert.strictEqual(problem(yield* call), "none")
        yield* call
        yield* admin(
          `UPDATE governance_tickets SET state = '${state}', settled_at = now() - interval '25 hours' WHERE agent = '${agentId}'`
        )
        const { earlierOutcome: before } = yield* inside(a)(cardOf(agentId))
        yield* inside(a)(Effect.flatMap(AdmissionStore, (store) => store.forget(1000)))
        assert.deepStrictEqual(yield* admin(`SELECT 1 FROM governance_tickets WHERE agent = '${agentId}'`), [])
        const { earlierOutcome: after } = yield* inside(a)(cardOf(agentId))
        outcomes.push([before, after])
      }
      assert.deepStrictEqual(outcomes, [
        ["completed", "completed"],
        ["not_run", "not_run"],
        ["unknown", "unknown"]
      ])
    }).pipe(Effect.scoped)
  )

  it.effect("no table holds a token: not after it was refused, used for a denial, or used for a grant (T-11, I7)", () =>
    Effect.gen(function* () {
      const a = yield* processOn()
      yield* inside(a)(prepare("secret"))
      const tokens: Array<string> = []
      for (const decide of ["deny", "grant"] as const) {
        yield* inside(a)(Effect.exit(Effect.void.pipe(governed(pay("secret", noWait)))))
        const { token } = yield* inside(a)(cardOf("secret"))
        tokens.push(token ?? "")
        const gates = Effect.flatMap(Gates, (one) =>
          Effect.andThen(
            Effect.exit(one[decide](token ?? "", { by: "olga" })),
            one[decide](token ?? "", { by: "rita" })
          )
        )
        yield* Effect.exit(inside(a)(gates))
      }
      yield* inside(a)(Effect.exit(Effect.void.pipe(governed(pay("secret", noWait)))))
      const tables = yield* admin(
        `SELECT quote_ident(table_schema) || '.' || quote_ident(table_name) FROM information_schema.tables
          WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`
      )
      assert.isAbove(tables.length, 15)
      const stored = (yield* Effect.forEach(tables, ([table]) => admin(`SELECT x::text FROM ${table} x`)))
        .flat()
        .join("\n")
      assert.deepStrictEqual(new Set(tokens.map((token) => token.length > 200)), new Set([true]))
      for (const token of tokens) {
        assert.include(stored, token.split(":")[2] ?? "")
        for (const part of [token, token.slice(-64), token.slice(-32)]) assert.notInclude(stored, part)
      }
    }).pipe(Effect.scoped)
  )
})
