import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import * as Postgres from "../../src/layers/Postgres.ts"
import { sqlState } from "../../src/layers/postgres/SqlFailure.ts"
import { genesis, headOf } from "../../src/schema/Chain.ts"
import { operatorChain } from "../../src/schema/Ids.ts"
import { AgentKeys } from "../../src/services/AgentKeys.ts"
import { AgentScope } from "../../src/services/AgentScope.ts"
import { Audit } from "../../src/services/Audit.ts"
import * as BundleKeySource from "../../src/services/BundleKeySource.ts"
import { Erasure } from "../../src/services/Erasure.ts"
import { Gates } from "../../src/services/Gates.ts"
import { governed } from "../../src/services/Governor.ts"
import { LegalHolds } from "../../src/services/LegalHolds.ts"
import { Policies } from "../../src/services/Policies.ts"
import { Presence } from "../../src/services/Presence.ts"
import { anySigner } from "../identity/Keys.ts"
import { freshDatabase, layerSql, TestDatabase } from "../support/database.ts"
import { callAppend, draft, sealAll } from "./AuditRows.ts"

const run = (text: string) => SqlClient.SqlClient.use((sql) => sql.unsafe(text).values)
const as = (role: "owner" | "app" | "admin") => Effect.provide(layerSql(role), { local: true })
const app = (text: string) => as("app")(run(text))
const owner = (text: string) => as("owner")(run(text))
const refusal = (text: string) => as("app")(Effect.map(Effect.flip(run(text)), sqlState))
const inFresh = Effect.provide(freshDatabase, { local: true })

/** Governance as a host has it, over the runtime role's connection. */
const host = Effect.provide(
  Layer.unwrap(
    Effect.map(TestDatabase, ({ appUrl }) =>
      Layer.provideMerge(
        BundleKeySource.layer,
        Postgres.layer({
          databaseUrl: appUrl,
          auditSecret: "k3Jx9QvT7mZp2LwN8sRb4YcF6hDg1AeU",
          testMode: true,
          signingKeys: null,
          warnOnNoWrappers: false,
          auditDeadline: "20 seconds",
          enforcementDeadline: "20 seconds"
        })
      )
    )
  ),
  { local: true }
)

/** An audit row that anybody with EXECUTE can append; whoever verifies sees that nobody with the key wrote it. */
const rowOf = (kind: string, metadata: object) =>
  draft("x", { chain: operatorChain, kind, metadataText: JSON.stringify(metadata) })
const withRow = (text: string, kind: string, metadata: object) =>
  as("app")(
    SqlClient.SqlClient.use((sql) =>
      sql.withTransaction(
        Effect.gen(function* () {
          const [head] = yield* run("SELECT seq, hash, at_ms FROM governance_lock_heads('operator', ARRAY['operator'])")
          const from =
            head?.[1] instanceof Uint8Array ? { seq: Number(head[0]), hash: head[1], atMs: Number(head[2]) } : genesis
          const rows = sealAll([rowOf(kind, metadata)], from)
          yield* callAppend([{ chain: operatorChain, from, to: headOf(rows[0]!), rows }])
          return yield* run(text)
        })
      )
    )
  )

const writing = `SELECT p.proname::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE n.nspname = 'public' AND p.proname LIKE 'governance\\_%' AND p.provolatile = 'v' AND p.prosecdef
    AND has_function_privilege(p.oid, 'EXECUTE') ORDER BY 1`

/** Where each of them is attacked. */
const attacked: Readonly<Record<string, string>> = {
  governance_activate_prompt: "prompts",
  governance_adopt_checkpoint: "test/checkpoints",
  governance_admit: "admission suites",
  governance_admit_approved: "gates",
  governance_admit_one: "admission suites",
  governance_append_many: "AppendOnly.test.ts",
  governance_begin_chain_keys: "the first key",
  governance_bridge_move: "BridgeStateStore.test.ts",
  governance_bridge_open: "BridgeStateStore.test.ts",
  governance_claim_alert: "BudgetAlertStore.test.ts",
  governance_claim_gate: "gates",
  governance_commit_checkpoint: "test/checkpoints",
  governance_current_subject_keys: "subjects",
  governance_decide_gate: "gates",
  governance_enrol: "presence suites",
  governance_erase_subject: "subjects",
  governance_expire_gate: "gates",
  governance_forget: "admission suites",
  governance_forget_gates: "gates",
  governance_forget_presence: "presence suites",
  governance_halt: "presence suites",
  governance_heartbeat: "presence suites",
  governance_lock_heads: "AppendOnly.test.ts",
  governance_mark_stale: "presence suites",
  governance_note_checkpoint: "test/checkpoints",
  governance_open_gate: "gates",
  governance_put_policy: "policy suites",
  governance_reader_advance: "readers",
  governance_reader_lead: "readers",
  governance_reader_resign: "readers",
  governance_record_call: "admission suites",
  governance_register_agent_key: "agent keys",
  governance_register_prompt: "prompts",
  governance_release_policy: "policy suites",
  governance_remove_policy: "policy suites",
  governance_renew: "admission suites",
  governance_report_wrappers: "CoverageStore.test.ts",
  governance_resume: "presence suites",
  governance_revoke_agent_key: "agent keys",
  governance_roll_back_prompt: "prompts",
  governance_set_hold: "holds",
  governance_settle: "admission suites",
  governance_settle_one: "admission suites",
  governance_track: "admission suites"
}

const pay = governed({ agentId: "clerk", sessionId: "s1", tool: "pay", input: { usd: "5" }, approval: { wait: false } })

/** One approval, used up. */
const usedUp = Effect.gen(function* () {
  yield* (yield* AgentScope).register({ agentId: "clerk", allowedTools: ["*"] })
  yield* (yield* Presence).heartbeat("clerk", { operatorId: "olga" })
  yield* (yield* Policies).register("clerk", "gate", { requireApproval: ["pay"] })
  yield* Effect.flip(pay(Effect.void))
  const gates = yield* Gates
  const [card] = yield* gates.list({ agentId: "clerk" })
  yield* gates.grant(card?.token ?? "", { by: "rita" })
  assert.strictEqual(yield* pay(Effect.succeed("paid")), "paid")
})

/** Plants the request again, decided as it was; how it was is readable. */
const plant = (g: Readonly<Record<string, unknown>>, ms: number) =>
  Effect.gen(function* () {
    const text = (value: unknown) => (value === null ? "NULL" : `'${String(value)}'`)
    const opened = yield* app(`SELECT r_outcome FROM governance_open_gate('clerk', '${g.request}', 'clerk', 's1',
      ${text(g.kind)}, ${text(g.action_hash)}, ${text(g.payload)}, ${text(g.key_id)}, ${text(g.match_key)}, 1, ${ms}, 100)`)
    const decided = yield* app(`SELECT governance_decide_gate('clerk', '${g.request}', 'granted', 'rita',
      ${text(g.approved_hash)}, NULL, ${text(g.decision_mac)}, ARRAY['rita'], 0, false, NULL)`)
    return [opened[0]?.[0], decided[0]?.[0]]
  })

const gateRow = Effect.map(owner("SELECT to_jsonb(g)::text FROM governance_gates g"), ([row]) =>
  JSON.parse(String(row?.[0]))
)

describe("the runtime role as an attacker", () => {
  it.live("has an attack here or elsewhere for every function that it may call and that writes (A-17)", () =>
    Effect.gen(function* () {
      const names = (yield* app(writing)).map(([name]) => String(name)).filter((name) => name !== "governance_now")
      assert.deepStrictEqual(
        names.filter((name) => attacked[name] === undefined),
        []
      )
      assert.includeMembers(names, Object.keys(attacked))
    }).pipe(inFresh)
  )

  it.live(
    "cannot make one approval serve twice: while its time runs the request stays, afterwards its MAC is void (BEY-02, T-18)",
    () =>
      Effect.gen(function* () {
        yield* usedUp
        const used = yield* gateRow
        assert.strictEqual(used.state, "consumed")
        assert.strictEqual(yield* refusal("SELECT governance_forget_gates(-1000, 1000)"), "22023")
        assert.deepStrictEqual(yield* app("SELECT governance_forget_gates(0, 1000)"), [[0n]])
        assert.strictEqual(
          yield* refusal(
            `SELECT * FROM governance_open_gate('clerk', gen_random_uuid(), 'clerk', '', 'pay', 'h', NULL, 'k', 'm', 1, 0, 100)`
          ),
          "22023"
        )
        // The same request again, now or with another match key: the row is there.
        assert.strictEqual(yield* Effect.flip(plant(used, 600_000)).pipe(Effect.map(sqlState)), "23505")
        yield* Effect.flip(pay(Effect.succeed("paid twice")))
        // Its time is over: it may go, and what is planted in its place cannot have its moment of expiry.
        yield* owner(
          "UPDATE governance_gates SET expires_at = governance_now(), decided_at = governance_now() - interval '1 hour', created_at = created_at - interval '1 hour' WHERE state = 'consumed'"
        )
        yield* owner("DELETE FROM governance_tickets WHERE state IN ('open', 'orphaned')")
        assert.deepStrictEqual(yield* app("SELECT governance_forget_gates(0, 1000)"), [[1n]])
        yield* app(
          `SELECT governance_expire_gate('clerk', request, true) FROM governance_gates WHERE state = 'pending'`
        )
        assert.deepStrictEqual(yield* plant(used, 600_000), ["Opened", "Decided"])
        const planted = yield* gateRow
        assert.notStrictEqual(planted.expires_at, used.expires_at)
        yield* Effect.flip(pay(Effect.succeed("paid twice")))
      }).pipe(host, inFresh)
  )

  it.live("cannot have an approval forgotten while nobody knows how its call ended (BEY-02)", () =>
    Effect.gen(function* () {
      yield* usedUp
      yield* owner(
        "UPDATE governance_gates SET expires_at = governance_now() - interval '1 second', created_at = created_at - interval '1 hour', decided_at = NULL"
      )
      yield* owner("UPDATE governance_tickets SET state = 'orphaned'")
      assert.deepStrictEqual(yield* app("SELECT governance_forget_gates(0, 1000)"), [[0n]])
      yield* owner("UPDATE governance_tickets SET state = 'spent'")
      assert.deepStrictEqual(yield* app("SELECT governance_forget_gates(0, 1000)"), [[1n]])
    }).pipe(host, inFresh)
  )

  it.live(
    "cannot use up a request of others with a ticket that was admitted before, nor move what is decided (T-18)",
    () =>
      Effect.gen(function* () {
        yield* usedUp
        const used = yield* gateRow
        yield* app(
          `SELECT * FROM governance_open_gate('clerk', '00000000-0000-4000-8000-000000000009', 'clerk', '', 'pay', 'h', NULL, 'k', 'm', 1, 60000, 100)`
        )
        const seen = yield* app(
          `SELECT verdict FROM governance_admit_approved('00000000-0000-4000-8000-000000000009', 'x', 'x', 'clerk', 'clerk', 's1', 'pay', '${used.ticket}', 'x', 0, 0, 60000, NULL, NULL)`
        )
        assert.deepStrictEqual(seen, [["=Admitted"]])
        assert.deepStrictEqual(yield* app("SELECT state FROM governance_gates WHERE request::text LIKE '00000000%'"), [
          ["pending"]
        ])
        const id = used.request
        assert.deepStrictEqual(yield* app(`SELECT governance_claim_gate('clerk', '${id}', NULL, 'mallory')`), [[false]])
        assert.deepStrictEqual(yield* app(`SELECT governance_expire_gate('clerk', '${id}', true)`), [[false]])
        assert.deepStrictEqual(
          yield* app(
            `SELECT governance_decide_gate('clerk', '${id}', 'denied', 'm', 'h', NULL, 'x', ARRAY['m'], 0, false, NULL)`
          ),
          [["consumed"]]
        )
      }).pipe(host, inFresh)
  )

  it.live(
    "cannot backdate a revocation: what was signed before stays signed, and the registry says that no row tells of it (IDN-06)",
    () =>
      Effect.gen(function* () {
        const signer = anySigner("clerk")
        const registry = yield* AgentKeys
        yield* registry.enrol(signer, "ada")
        const fingerprint = signer.fingerprint
        assert.strictEqual(
          yield* refusal(`SELECT governance_revoke_agent_key('${fingerprint}', 'x', 'mallory', 0, NULL)`),
          "42883"
        )
        assert.strictEqual(
          yield* refusal(`SELECT governance_revoke_agent_key('${fingerprint}', 'x', 'mallory', gen_random_uuid())`),
          "GV013"
        )
        assert.isNull((yield* registry.list)[0]?.revocation ?? null)
        const [before] = yield* app("SELECT (extract(epoch FROM governance_now()) * 1000)::bigint")
        yield* app(`SELECT governance_revoke_agent_key('${fingerprint}', 'x', 'mallory', NULL)`)
        const [revoked] = yield* registry.list
        assert.isAtLeast(revoked?.revocation?.revokedAtMs ?? 0, Number(before?.[0]) - 1)
        assert.isNull(revoked?.revocation?.eventId)
      }).pipe(host, inFresh)
  )

  it.live(
    "gains nothing by a key that nobody proved to have: not listed, in no bundle, and no row is unsigned by it (K-10)",
    () =>
      Effect.gen(function* () {
        yield* app(
          `SELECT governance_register_agent_key('clerk', repeat('a', 64), decode(repeat('ab', 32), 'hex'), decode(repeat('cd', 64), 'hex'))`
        )
        assert.strictEqual(
          yield* refusal(
            `SELECT governance_register_agent_key('clerk', repeat('b', 64), decode(repeat('ab', 32), 'hex'), decode(repeat('cd', 64), 'hex'), 0)`
          ),
          "42883"
        )
        assert.deepStrictEqual(yield* (yield* AgentKeys).list, [])
        assert.deepStrictEqual(yield* (yield* BundleKeySource.BundleKeySource).agentKeys, [])
        const audit = yield* Audit
        yield* audit.log({ kind: "tool.call", agentId: "clerk" })
        assert.deepInclude((yield* audit.report()).signatures, { legacy_unsigned: 1 })
      }).pipe(host, inFresh)
  )

  it.live("cannot erase a subject without the row that names its keys, in the same transaction (BEY-12)", () =>
    Effect.gen(function* () {
      const key = `SELECT * FROM governance_current_subject_keys(ARRAY['eva'], ARRAY['k1'], ARRAY['\\x${"00".repeat(40)}'::bytea], ARRAY['w'], '{}')`
      yield* app(key)
      const erase = "SELECT * FROM governance_erase_subject('eva')"
      const kept = owner("SELECT id FROM governance_subject_keys WHERE subject = 'eva'")
      assert.strictEqual(yield* refusal(erase), "GV013")
      const kind = "audit.subject_erased"
      for (const [given, facts] of [
        [kind, { keys: ["k2"] }],
        ["tool.call", { keys: ["k1"] }]
      ] as const) {
        assert.strictEqual(sqlState(yield* Effect.flip(withRow(erase, given, facts))), "GV013")
      }
      // A row of an earlier transaction is no row of this one.
      yield* withRow("SELECT 1", kind, { keys: ["k1"] })
      assert.strictEqual(yield* refusal(erase), "GV013")
      assert.deepStrictEqual(yield* kept, [["k1"]])
      // Bytes of a key that is there are never replaced.
      yield* app(key.replace("'k1'", "'k9'"))
      assert.deepStrictEqual(yield* kept, [["k1"]])
      yield* withRow(erase, kind, { keys: ["k1"] })
      assert.deepStrictEqual(yield* kept, [])
      // It is erased, and whoever verifies sees that nobody with the key said so.
      assert.strictEqual((yield* Effect.flip((yield* Audit).verifyChain()))._tag, "ChainIntegrityError")
    }).pipe(host, inFresh)
  )

  it.live("cannot set a hold without its row, nor can the owner release one without (CMP-15)", () =>
    Effect.gen(function* () {
      const set = "SELECT governance_set_hold('agent', 'clerk', 'mallory', 'x')"
      assert.strictEqual(yield* refusal(set), "GV013")
      assert.strictEqual(
        sqlState(yield* Effect.flip(withRow(set, "audit.legal_hold_set", { scope: "agent", name: "other" }))),
        "GV013"
      )
      yield* (yield* LegalHolds).set({ scope: "agent", name: "clerk", by: "ann", reason: "case" })
      const release = "SELECT governance_release_hold('agent', 'clerk')"
      assert.strictEqual(yield* refusal(release), "42501")
      assert.strictEqual(yield* as("owner")(Effect.map(Effect.flip(run(release)), sqlState)), "GV013")
      assert.lengthOf(yield* (yield* LegalHolds).list, 1)
      yield* (yield* LegalHolds).set({ scope: "subject", name: "eva", by: "ann", reason: "case" })
      assert.strictEqual((yield* Effect.flip((yield* Erasure).erase("eva", { by: "ann" })))._tag, "RetentionRefused")
    }).pipe(host, inFresh)
  )

  it.live("cannot switch off what looks at the commit, in whatever mode it asks for", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* refusal("SET session_replication_role = replica"), "42501")
      const set = "SELECT governance_set_hold('agent', 'clerk', 'mallory', 'x')"
      for (const mode of ["IMMEDIATE", "DEFERRED"]) {
        const acted = SqlClient.SqlClient.use((sql) =>
          sql.withTransaction(Effect.andThen(run(`SET CONSTRAINTS ALL ${mode}`), run(set)))
        )
        assert.strictEqual(yield* as("app")(Effect.map(Effect.flip(acted), sqlState)), "GV013", mode)
      }
      assert.deepStrictEqual(yield* owner("SELECT name FROM governance_legal_holds"), [])
    }).pipe(inFresh)
  )

  it.live("cannot name another first key once there is one, or once the log has rows (ROT-02)", () =>
    Effect.gen(function* () {
      const begin = "SELECT governance_begin_chain_keys(repeat('a', 32), repeat('a', 64), ARRAY[repeat('a', 32)])"
      yield* (yield* Audit).log({ kind: "tool.call", agentId: "clerk" })
      assert.deepStrictEqual(yield* app(begin), [[false]])
      yield* owner("ALTER TABLE governance_audit_chain_keys DISABLE TRIGGER ALL")
      yield* owner("DELETE FROM governance_audit_chain_keys")
      assert.deepStrictEqual(yield* app(begin), [[false]])
    }).pipe(host, inFresh)
  )

  it.live("cannot store a text under the name of another, nor activate what nobody registered (PRM-01)", () =>
    Effect.gen(function* () {
      const forged = "SELECT governance_register_prompt('greet', repeat('a', 64), '\"x\"', 'mallory')"
      assert.strictEqual(yield* refusal(forged), "23514")
      const activate = "SELECT r_outcome FROM governance_activate_prompt('greet', repeat('a', 64), 'mallory')"
      assert.deepStrictEqual(yield* app(activate), [["Unknown"]])
      assert.deepStrictEqual(yield* app("SELECT r_outcome FROM governance_roll_back_prompt('greet', 'mallory')"), [
        ["Unknown"]
      ])
    }).pipe(inFresh)
  )

  it.live("cannot move a reader without its epoch, back, or beyond what is written (B-20)", () =>
    Effect.gen(function* () {
      yield* (yield* Audit).log({ kind: "tool.call", agentId: "clerk" })
      yield* app("SELECT governance_reader_lead('mail', 'a', 60000)")
      const to = (epoch: number, seq: number) =>
        `SELECT governance_reader_advance('mail', ${epoch}, ARRAY['agent:clerk'], ARRAY[${seq}]::bigint[], true)`
      assert.deepStrictEqual(yield* app(to(7, 1)), [[false]])
      assert.strictEqual(yield* refusal(to(1, 2)), "22023")
      assert.deepStrictEqual(yield* app(to(1, 1)), [[true]])
      yield* app(to(1, 0))
      yield* app("SELECT governance_reader_resign('mail', 7)")
      assert.deepStrictEqual(yield* app("SELECT r_epoch FROM governance_reader_lead('mail', 'b', 60000)"), [[null]])
      assert.deepStrictEqual(yield* app("SELECT seq FROM governance_reader_cursors"), [[1n]])
    }).pipe(host, inFresh)
  )
})
