import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer } from "effect"
import { Database } from "../../src/layers/postgres/Database.ts"
import { AdmissionStore } from "../../src/services/AdmissionStore.ts"
import { CostStore } from "../../src/services/CostStore.ts"
import { PolicyStore } from "../../src/services/PolicyStore.ts"
import { PresenceStore } from "../../src/services/PresenceStore.ts"
import { StoreTransaction } from "../../src/services/StoreTransaction.ts"
import {
  delegateOf,
  enrolled,
  exactly,
  micro,
  newSession,
  operator,
  policy,
  request,
  withBudget
} from "../../src/testing/StoreSet.ts"
import { freshDatabase, layerSql, TestDatabase } from "../support/database.ts"
import { storesOver } from "./AdmissionRig.ts"

/** Another process: its own pools and batchers over the same database. */
const process = (deadlineMs?: number) =>
  Effect.flatMap(TestDatabase, (database) =>
    Layer.build(Layer.fresh(storesOver(deadlineMs)).pipe(Layer.provide(Layer.succeed(TestDatabase, database))))
  )

const rig = Layer.mergeAll(storesOver(), layerSql("owner")).pipe(Layer.provideMerge(freshDatabase))

layer(rig, { excludeTestServices: true, timeout: "60 seconds" })("Admission on Postgres", (it) => {
  it.effect("admits exactly 10 of 256 callers in 4 processes on a budget for 10 (BEY-01, U-01)", () =>
    Effect.gen(function* () {
      const agentId = yield* withBudget({ perAgentUsdDaily: "0.00001" })
      const processes = yield* Effect.all([process(), process(), process(), process()])
      const verdicts = yield* Effect.forEach(
        Array.from({ length: 256 }, (_, n) => Context.get(processes[n % 4]!, AdmissionStore)),
        (store) => store.admit(request(agentId, { sessionId: newSession() })),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(verdicts.filter(({ _tag }) => _tag === "Admitted").length, 10)
      assert.strictEqual(verdicts.filter(({ _tag }) => _tag === "Short").length, 246)
    })
  )

  it.effect("admits no call of the tree after a halt has committed, whichever process halts (H-01, DEC-10)", () =>
    Effect.gen(function* () {
      const root = yield* enrolled
      const child = yield* delegateOf(root)
      const [one, two] = yield* Effect.all([process(), process()])
      const admission = Context.get(one, AdmissionStore)
      const presence = Context.get(two, PresenceStore)
      let halted = false
      let after = 0
      let admitted = 0
      const caller = Effect.gen(function* () {
        for (;;) {
          const asked = halted
          const verdict = yield* admission.admit(request(child, { root }))
          if (verdict._tag === "Halted") return
          admitted += 1
          if (asked) after += 1
        }
      })
      for (let round = 0; round < 10; round++) {
        halted = false
        const fibers = yield* Effect.forEach(Array.from({ length: 16 }), () => Effect.forkChild(caller))
        yield* Effect.sleep("5 millis")
        yield* presence.halt({ agentId: round % 2 === 0 ? root : child, haltedBy: operator, reason: "race" })
        halted = true
        yield* Effect.forEach(fibers, Fiber.join)
        yield* presence.resume(round % 2 === 0 ? root : child)
      }
      assert.strictEqual(after, 0)
      assert.isAbove(admitted, 0)
    })
  )

  it.effect("never deadlocks and leaves nothing held under a random mix of 3 processes on 2 trees (U-10)", () =>
    Effect.gen(function* () {
      const roots = yield* Effect.all([enrolled, enrolled])
      const agents = yield* Effect.forEach(roots, (root) =>
        Effect.map(Effect.all([delegateOf(root), delegateOf(root)]), (all) => [root, ...all])
      )
      const session = newSession()
      const processes = yield* Effect.all([process(), process(), process()])
      yield* Effect.forEach(
        Array.from({ length: 300 }, (_, n) => n),
        Effect.fnUntraced(function* (n) {
          const store = Context.get(processes[n % 3]!, AdmissionStore)
          const root = roots[n % 2]!
          const agentId = agents[n % 2]![(n >> 1) % 3]!
          const call = request(agentId, {
            root,
            sessionId: n % 5 === 0 ? null : session,
            tool: n % 4 === 0 ? "search" : null
          })
          const verdict = yield* store.admit(call)
          if (n % 7 === 0)
            yield* Context.get(processes[0], CostStore).track({
              id: call.ticket,
              agentId,
              sessionId: session,
              model: "m",
              usd: micro(1),
              tokens: 1n
            })
          if (n % 50 === 0) {
            const presence = Context.get(processes[1], PresenceStore)
            yield* presence.halt({ agentId, haltedBy: operator, reason: "mix" })
            yield* presence.resume(agentId)
          }
          if (verdict._tag === "Admitted") {
            yield* store.settle(
              root,
              call.ticket,
              n % 3 === 0
                ? { _tag: "Refused" }
                : { _tag: "Spent", usd: micro(1), tokens: 1n, model: "m", resultHash: null }
            )
          }
        }),
        { concurrency: 48 }
      )
      const sql = yield* PgClient.PgClient
      const held =
        yield* sql`SELECT 1 FROM governance_cost_counters WHERE root IN ${sql.in(roots)} AND (held_usd > 0 OR held_tokens > 0)`
      assert.strictEqual(held.length, 0)
    })
  )

  it.effect("gives back what was held for a caller that was interrupted before its verdict came (U-02, F-09)", () =>
    Effect.gen(function* () {
      const agentId = yield* withBudget({ perAgentUsdDaily: "1.00" })
      const admission = yield* AdmissionStore
      const cost = yield* CostStore
      for (let round = 0; round < 20; round++) {
        const fibers = yield* Effect.forEach(Array.from({ length: 8 }), () =>
          Effect.forkChild(admission.admit(request(agentId, { hold: exactly(1000n) })), { startImmediately: true })
        )
        yield* Effect.sleep(round / 10)
        const exits = yield* Effect.forEach(
          fibers,
          (fiber) => Effect.andThen(Fiber.interrupt(fiber), Fiber.await(fiber)),
          { concurrency: "unbounded" }
        )
        for (const exit of exits) if (Exit.isSuccess(exit)) assert.strictEqual(exit.value._tag, "Admitted")
      }
      const sql = yield* PgClient.PgClient
      const open = sql<{
        n: bigint
      }>`SELECT count(*) AS n FROM governance_tickets WHERE root = ${agentId} AND state = 'released'`
      yield* Effect.sleep("300 millis")
      const released = (yield* open)[0]!.n
      const held = (yield* sql<{
        held: bigint
      }>`SELECT coalesce(sum(held_usd), 0)::bigint AS held FROM governance_cost_counters WHERE root = ${agentId} AND scope LIKE 'd:%'`)[0]!
        .held
      const rest = (yield* sql<{
        n: bigint
      }>`SELECT count(*) AS n FROM governance_tickets WHERE root = ${agentId} AND state = 'open'`)[0]!.n
      assert.strictEqual(held, rest * 1000n)
      assert.isTrue(released > 0n)
      assert.strictEqual((yield* cost.snapshot(agentId, null)).dailyUsd, 0n)
    })
  )

  it.effect("answers within the deadline while the tree is locked, and holds nothing for who gave up (I9, U-12)", () =>
    Effect.gen(function* () {
      const agentId = yield* enrolled
      const admission = Context.get(yield* process(300), AdmissionStore)
      const sql = yield* PgClient.PgClient
      yield* sql.withTransaction(
        Effect.gen(function* () {
          yield* sql`SELECT 1 FROM governance_trees WHERE root = ${agentId} FOR UPDATE`
          const started = performance.now()
          const errors = yield* Effect.forEach([1, 2, 3], () => Effect.flip(admission.admit(request(agentId))), {
            concurrency: "unbounded"
          })
          assert.isBelow(performance.now() - started, 1000)
          for (const error of errors) assert.strictEqual(error.problem, "deadline")
        })
      )
      yield* Effect.sleep("1500 millis")
      const open = yield* sql`SELECT 1 FROM governance_tickets WHERE root = ${agentId} AND state = 'open'`
      assert.strictEqual(open.length, 0)
      assert.strictEqual((yield* admission.admit(request(agentId)))._tag, "Admitted")
    })
  )

  it.effect("lets the runtime role read and call, and write nothing by hand (H-09, R-06)", () =>
    Effect.gen(function* () {
      const { sql } = yield* Database
      for (const table of [
        "agents",
        "trees",
        "presence",
        "policies",
        "tickets",
        "cost_counters",
        "cost_models",
        "cost_tracked",
        "loop_windows"
      ]) {
        yield* sql.unsafe(`SELECT 1 FROM governance_${table} LIMIT 1`)
        for (const text of [`DELETE FROM governance_${table}`, `TRUNCATE governance_${table}`]) {
          const error = yield* Effect.flip(sql.unsafe(text))
          assert.strictEqual(error.reason._tag, "AuthorizationError", text)
        }
      }
      for (const text of [
        "UPDATE governance_trees SET halts = '{}'",
        "UPDATE governance_tickets SET state = 'released'",
        "UPDATE governance_cost_counters SET used_usd = 0",
        "UPDATE governance_policies SET body = '{}'",
        "INSERT INTO governance_agents VALUES ('x', NULL, 'x', ARRAY['x'])",
        "SELECT governance_add_counters('x', now(), '{}', '{}', '{}', '{}', '{}', '{}')",
        "SELECT governance_count_calls('x', now(), '{}', '{}', '{}', '{}')"
      ]) {
        const error = yield* Effect.flip(sql.unsafe(text))
        assert.strictEqual(error.reason._tag, "AuthorizationError", text)
      }
    })
  )

  it.effect("takes a halt and an operator's policy back with the transaction they were made in (H-10)", () =>
    Effect.gen(function* () {
      const agentId = yield* enrolled
      const presence = yield* PresenceStore
      const policies = yield* PolicyStore
      const transaction = yield* StoreTransaction
      const act = Effect.gen(function* () {
        yield* presence.halt({ agentId, haltedBy: operator, reason: "half" })
        yield* policies.put({ agentId, kind: "budget", body: { perSessionTokens: 1 }, source: "operator" })
      })
      yield* Effect.exit(transaction.run(Effect.andThen(act, Effect.fail("the audit row was refused"))))
      assert.isFalse((yield* presence.halts).some((halt) => halt.agentId === agentId))
      assert.isFalse((yield* policies.all).some((row) => row.agentId === agentId))
      yield* transaction.run(act)
      assert.isTrue((yield* presence.halts).some((halt) => halt.agentId === agentId))
      assert.isTrue((yield* policies.all).some((row) => row.agentId === agentId))
    })
  )

  it.effect("shows a halt in the documented table, whatever a heartbeat writes (PRS-05, PRS-16, OQ-09, MIG-04)", () =>
    Effect.gen(function* () {
      const agentId = yield* enrolled
      const presence = yield* PresenceStore
      const beat = {
        agentId,
        status: "live" as const,
        operatorId: null,
        metadata: { _halted_by: "nobody", note: "a\0b\ud800" }
      }
      yield* presence.heartbeat(beat)
      yield* presence.halt({ agentId, haltedBy: operator, reason: "why" })
      yield* presence.heartbeat(beat)
      const sql = yield* PgClient.PgClient
      const [row] = yield* sql<{
        metadata: Record<string, unknown>
      }>`SELECT metadata_json AS metadata FROM governance_agent_presence WHERE agent_id = ${agentId}`
      assert.strictEqual(row?.metadata._halted_by, operator)
      assert.strictEqual(row?.metadata._halt_reason, "why")
      assert.strictEqual(row?.metadata.note, "a\ufffdb\ufffd")
    })
  )

  it.effect(
    "refuses one unusual call without its neighbours, and stores names that Postgres does not take as text (DEC-17)",
    () =>
      Effect.gen(function* () {
        const agentId = yield* enrolled
        yield* policy(agentId, "loop", { windowSeconds: 60, maxCalls: 5 })
        const admission = yield* AdmissionStore
        const odd = request(agentId, {
          tool: "a\0b\ud800",
          facts: { kind: "tool", name: "a\0b\ud800", model: "\0", inputHash: null },
          leaseMs: 1
        })
        const exits = yield* Effect.forEach(
          [request(agentId), odd, request(agentId, { hold: exactly(2n ** 62n) }), request(agentId)],
          (call) => Effect.exit(admission.admit(call)),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, true, false, true])
        yield* Effect.sleep("20 millis")
        const found = (yield* admission.expired(1000)).find(({ ticket }) => ticket === odd.ticket)
        assert.deepStrictEqual(found?.facts, odd.facts)
      })
  )
})
