import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import * as LiveEnvironment from "../../src/cli/LiveEnvironment.ts"
import { emptyDatabase, freshDatabase, layerSql, TestDatabase } from "../support/database.ts"
import { governance } from "./InProcess.ts"

// Retries and deadlines of a real database need a real clock.
const real = { excludeTestServices: true } as const
const live = LiveEnvironment.layer
const secret = "38b8b53befc08b03be1298b72c8efc894e319d11d3b30e4ea1bd8970e33da504"
const other = "114c360cd9fddaacf609c19b487d3d8dba30374ea7ef71aad6b9ad3bf6cd9dea"

/** The variables of a program that connects as the runtime role, and knows the secret. */
const variables = (role: "appUrl" | "ownerUrl" = "appUrl", auditSecret: string | null = secret) =>
  Effect.map(TestDatabase, (database) => ({
    GOVERNANCE_DATABASE_URL: Redacted.value(database[role]),
    ...(auditSecret === null ? {} : { GOVERNANCE_AUDIT_SECRET: auditSecret })
  }))

const cli = (...args: ReadonlyArray<string>) => Effect.flatMap(variables(), (env) => governance(args, { env }))
const asAdmin = (...statements: ReadonlyArray<string>) =>
  SqlClient.SqlClient.use((sql) => Effect.forEach(statements, (text) => sql.unsafe(text), { discard: true })).pipe(
    Effect.provide(layerSql("admin"), { local: true })
  )

/** Changes the log behind its protection, as somebody with the rights of the server could. */
const tamper = (statement: string) =>
  asAdmin(
    "ALTER TABLE governance_audit_events DISABLE TRIGGER ALL",
    statement,
    "ALTER TABLE governance_audit_events ENABLE ALWAYS TRIGGER governance_append_only_row",
    "ALTER TABLE governance_audit_events ENABLE ALWAYS TRIGGER governance_append_only_truncate"
  )

describe("governance on Postgres", () => {
  layer(Layer.merge(live, freshDatabase), real)("verify", (it) => {
    it.effect(
      "is 0 for a whole log, and names every break by chain and row when it was changed: 1 (CLI-02, L-06)",
      () =>
        Effect.gen(function* () {
          for (const session of ["s1", "s1", "s1", "s2"]) {
            assert.strictEqual((yield* cli("emit", "step", "--agent", "clerk", "--session", session)).code, 0)
          }
          assert.strictEqual((yield* cli("verify")).code, 0)
          yield* tamper("UPDATE governance_audit_events SET kind = 'other' WHERE chain = 'session:s1' AND seq = 2")
          const ran = yield* cli("verify")
          assert.strictEqual(ran.code, 1)
          assert.include(ran.out, "session:s1, row 2:")
          assert.include(ran.out, "(kind)")
          assert.include(ran.err, "tampered with: 1 break in 1 chain")
          const json = JSON.parse((yield* cli("verify", "--json")).out)
          assert.deepInclude(json.breaks[0], { chain: "session:s1", seq: 2, problem: "column", column: "kind" })
          assert.strictEqual((yield* cli("verify", "--session", "s2")).code, 0)
          assert.strictEqual((yield* cli("verify", "--chain", "session:s1")).code, 1)
          yield* tamper("UPDATE governance_audit_events SET kind = 'step' WHERE chain = 'session:s1' AND seq = 2")
        })
    )

    it.effect("is 4 when nothing speaks against the log but the secret is missing or another (L-06, K-06)", () =>
      Effect.gen(function* () {
        for (const auditSecret of [null, other]) {
          const ran = yield* governance(["verify"], { env: yield* variables("appUrl", auditSecret) })
          assert.strictEqual(ran.code, 4, ran.err)
          assert.include(ran.out, "NOT VERIFIED")
          assert.include(ran.err, "GOVERNANCE_AUDIT_SECRET")
        }
        const changed =
          "UPDATE governance_audit_events SET canonical = replace(canonical, 'clerk', 'clark') WHERE chain = 'session:s2'"
        yield* tamper(changed)
        assert.strictEqual((yield* governance(["verify"], { env: yield* variables("appUrl", null) })).code, 1)
      })
    )

    it.effect("acts without a secret are refused before anything is written (DEC-18)", () =>
      Effect.gen(function* () {
        const ran = yield* governance(["halt", "clerk", "--reason", "x", "--by", "y"], {
          env: yield* variables("appUrl", null)
        })
        assert.strictEqual(ran.code, 2)
        assert.include(ran.err, "GOVERNANCE_AUDIT_SECRET")
        assert.strictEqual(
          (yield* governance(["agents"], { env: yield* variables("appUrl", null) })).out,
          "No agent has been seen yet.\n"
        )
      })
    )
  })

  layer(Layer.merge(live, freshDatabase), real)("operators", (it) => {
    it.effect("halt, look and resume across processes, and the log holds both acts (PRS-12)", () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* cli("halt", "clerk", "--reason", "wrong refunds", "--by", "alice")).code, 0)
        assert.match((yield* cli("agents")).out, /clerk +halted .*alice: wrong refunds/)
        assert.strictEqual((yield* cli("resume", "clerk", "--by", "alice")).code, 0)
        assert.include((yield* cli("verify")).out, "ok: 2 rows in 1 chain")
      })
    )

    it.effect("a policy file is one transaction: what the database refuses half-way leaves nothing (DEC-21)", () =>
      Effect.gen(function* () {
        const env = yield* variables()
        const file = JSON.stringify({
          agents: { a: { audit: { mode: "required" } }, z: { audit: { mode: "required" } } }
        })
        yield* asAdmin(
          "CREATE FUNCTION refuse_z() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.agent = 'z' THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$",
          "CREATE TRIGGER refuse_z BEFORE INSERT ON governance_policies FOR EACH ROW EXECUTE FUNCTION refuse_z()"
        )
        const ran = yield* governance(["policy", "apply", "-", "--by", "alice"], { env, stdin: file })
        assert.notStrictEqual(ran.code, 0)
        assert.strictEqual((yield* cli("policy", "show")).out, "No policy is set.\n")
        assert.strictEqual((yield* cli("verify", "--chain", "agent:a")).code, 4)
        yield* asAdmin("DROP TRIGGER refuse_z ON governance_policies")
        assert.strictEqual((yield* governance(["policy", "apply", "-", "--by", "alice"], { env, stdin: file })).code, 0)
        assert.match((yield* cli("policy", "show")).out, /z +audit +operator +1/)
      })
    )

    it.effect("budget reads the counters of the database (CLI-04)", () =>
      Effect.gen(function* () {
        const shown = JSON.parse((yield* cli("budget", "clerk", "--json")).out)
        assert.strictEqual(shown.agentDailyUsdUsed, "0.00")
      })
    )
  })

  layer(Layer.merge(live, freshDatabase), real)("doctor", (it) => {
    it.effect(
      "finds nothing wrong with a good installation, and names what is wrong with a bad one: 1 (A-19, A-20)",
      () =>
        Effect.gen(function* () {
          const good = yield* cli("doctor")
          assert.strictEqual(good.code, 0, good.out)
          for (const check of [
            "configuration",
            "database",
            "migrations",
            "triggers",
            "durability",
            "clock",
            "fallback",
            "secret",
            "open calls"
          ]) {
            assert.include(good.out, check)
          }
          yield* asAdmin("ALTER TABLE governance_audit_events DISABLE TRIGGER governance_append_only_row")
          const bad = yield* cli("doctor")
          assert.strictEqual(bad.code, 1)
          assert.match(bad.out, /FAIL +append-only triggers/)
          const { findings, ok } = JSON.parse((yield* cli("doctor", "--json")).out)
          assert.isFalse(ok)
          assert.isTrue(
            findings.every((one: { status: string; hint: string }) => one.status === "ok" || one.hint !== "")
          )
        })
    )

    it.effect("a weak or missing secret is a finding, and the secret is not in it (K-01)", () =>
      Effect.gen(function* () {
        const weak = yield* governance(["doctor"], {
          env: yield* variables("appUrl", "canary-canary-canary-canary-canary")
        })
        assert.match(weak.out, /FAIL +audit secret/)
        assert.notInclude(weak.out + weak.err, "canary")
        assert.match(
          (yield* governance(["doctor"], { env: yield* variables("appUrl", null) })).out,
          /FAIL +audit secret/
        )
      })
    )
  })

  layer(Layer.merge(live, emptyDatabase), real)("migrate", (it) => {
    it.effect("commands on a schema without tables fail with 2 and say what to run (MIG-05)", () =>
      Effect.gen(function* () {
        const ran = yield* cli("agents")
        assert.strictEqual(ran.code, 2, ran.err)
        assert.include(ran.err, "governance migrate")
      })
    )

    it.effect(
      "prints SQL and changes nothing with --dry-run, then migrates, then has nothing to do (CLI-01, MIG-01)",
      () =>
        Effect.gen(function* () {
          const env = yield* variables("ownerUrl")
          const { appRole } = yield* TestDatabase
          const dry = yield* governance(["migrate", "--dry-run"], { env })
          assert.include(dry.out, 'CREATE TABLE "public".governance_audit_events')
          assert.include(dry.err, "nothing was changed")
          assert.strictEqual((yield* governance(["agents"], { env })).code, 2)
          const first = yield* governance(["migrate", "--app-role", appRole, "--json"], { env })
          assert.strictEqual(first.code, 0)
          assert.include(JSON.parse(first.out).applied, "0001_audit")
          assert.include((yield* governance(["migrate", "--app-role", appRole], { env })).out, "up to date")
          assert.strictEqual((yield* cli("agents")).code, 0)
        })
    )

    it.effect("a name that is no schema is refused before it gets near a statement", () =>
      Effect.gen(function* () {
        for (const name of ["a;drop", 'a"b', "pg_x", "A", ""]) {
          assert.strictEqual((yield* cli("agents", "--schema", name)).code, 2, name)
          assert.strictEqual((yield* cli("migrate", "--schema", name)).code, 2, name)
        }
      })
    )
  })

  layer(live, real)("a database that does not answer", (it) => {
    const password = "canary%21Pw-4711"
    const env = {
      GOVERNANCE_DATABASE_URL: `postgres://bob:${password}@127.0.0.1:1/app`,
      GOVERNANCE_AUDIT_SECRET: secret
    }
    const commands = [
      ["agents"],
      ["budget", "a"],
      ["doctor"],
      ["emit", "k", "--agent", "a"],
      ["halt", "a", "--reason", "r", "--by", "b"],
      ["migrate"],
      ["migrate", "--dry-run"],
      ["policy", "apply", "-", "--by", "b"],
      ["policy", "release", "a", "scope", "--by", "b"],
      ["policy", "show"],
      ["resume", "a", "--by", "b"],
      ["tail"],
      ["verify"]
    ]
    for (const args of commands) {
      it.effect(
        `governance ${args.join(" ")} is 5, in one line, without a secret, at any log level (L-05, L-06, ERR-16)`,
        () =>
          Effect.gen(function* () {
            const stdin = '{"agents":{"a":{"audit":{"mode":"required"}}}}'
            for (const level of [[], ["--log-level", "trace"]]) {
              const ran = yield* governance([...args, ...level], { env, stdin })
              assert.strictEqual(ran.code, 5, ran.err)
              if (level.length === 0) assert.strictEqual(ran.err.trim().split("\n").length, 1, ran.err)
              for (const hidden of [password, decodeURIComponent(password), secret, "postgres://"]) {
                assert.notInclude(ran.out + ran.err, hidden)
              }
            }
          })
      )
    }
  })

  layer(live, real)("--database-url", (it) => {
    it.effect("refuses a password on the command line, says what to do, and does not repeat it (L-05)", () =>
      Effect.gen(function* () {
        for (const url of [
          "postgres://bob:canary@h/app",
          "postgres://bob@h/app?password=canary",
          "postgres://bob:canary/x@h/app",
          "postgresql+asyncpg://b:canary@h/a"
        ]) {
          const ran = yield* governance(["agents", "--database-url", url])
          assert.strictEqual(ran.code, 2)
          assert.include(ran.err, "env:NAME")
          assert.notMatch(ran.err, /canary/)
        }
      })
    )

    it.effect(
      "wins over the variable, takes env: and -, and is not named together with --data-dir (L-05, ENT-01)",
      () =>
        Effect.gen(function* () {
          const dead = "postgres://bob@127.0.0.1:1/app"
          const env = { GOVERNANCE_DATABASE_URL: "nonsense", OTHER_URL: dead }
          assert.strictEqual((yield* governance(["agents"], { env })).code, 2)
          assert.strictEqual((yield* governance(["agents", "--database-url", dead], { env })).code, 5)
          assert.strictEqual((yield* governance(["agents", "--database-url", "env:OTHER_URL"], { env })).code, 5)
          assert.strictEqual(
            (yield* governance(["agents", "--database-url", "-"], { env, stdin: `${dead}\n` })).code,
            5
          )
          assert.include(
            (yield* governance(["agents", "--database-url", "env:NOT_SET"], { env })).err,
            "which is not set"
          )
          assert.strictEqual((yield* governance(["agents", "--database-url", "mysql://h/d"], { env })).code, 2)
          assert.include(
            (yield* governance(["agents", "--database-url", dead, "--data-dir", "x"], { env })).err,
            "two different databases"
          )
        })
    )
  })
})
