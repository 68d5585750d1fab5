import { execFile } from "node:child_process"
import { randomBytes } from "node:crypto"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { emptyDatabase, layerSql, TestDatabase } from "../support/database.ts"

const root = join(import.meta.dirname, "../..")

const run = (env: Readonly<Record<string, string>>) =>
  Effect.callback<{ readonly code: number; readonly out: string }>((resume) => {
    const { GOVERNANCE_TEST_DATABASE_URL: _, OPENAI_API_KEY: __, ...inherited } = process.env
    const args = ["--conditions=effect-governance-source", "scripts/live.ts"]
    execFile(process.execPath, args, { cwd: root, env: { ...inherited, ...env } }, (error, stdout, stderr) =>
      resume(Effect.succeed({ code: typeof error?.code === "number" ? error.code : 0, out: `${stdout}${stderr}` }))
    )
  })

describe("the live script", () => {
  it.live("tries every module on Postgres and ends with 0; it leaves no table behind (TST-01)", () =>
    Effect.gen(function* () {
      const { ownerUrl } = yield* TestDatabase
      const secret = randomBytes(32).toString("hex")
      const url = Redacted.value(ownerUrl)
      const { code, out } = yield* run({ GOVERNANCE_TEST_DATABASE_URL: url, GOVERNANCE_TEST_AUDIT_SECRET: secret })
      assert.strictEqual(code, 0, out)
      const modules = ["audit", "scope", "pricing", "cost", "wrapped call", "gates", "loop", "contracts", "presence"]
      for (const name of [...modules, "hot reload", "report"]) assert.include(out, `ok    ${name}:`)
      assert.include(out, "a provider on loopback answers that is none")
      assert.notInclude(out, secret)
      const left = yield* Effect.provide(
        SqlClient.SqlClient.use(
          (sql) => sql.unsafe("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'governance%'").values
        ),
        layerSql("admin", { maxConnections: 1 })
      )
      assert.deepStrictEqual(left, [])
    }).pipe(Effect.provide(emptyDatabase))
  )

  it.live("stops at once where a variable is missing, and has no fallback for it (TST-01, SEC-04)", () =>
    Effect.gen(function* () {
      const none = yield* run({})
      assert.strictEqual(none.code, 1)
      assert.include(none.out, "FATAL GOVERNANCE_TEST_DATABASE_URL is not set")
      const { code, out } = yield* run({ GOVERNANCE_TEST_DATABASE_URL: "postgres://127.0.0.1:1/none" })
      assert.strictEqual(code, 1)
      assert.include(out, "FATAL GOVERNANCE_TEST_AUDIT_SECRET is not set")
    })
  )
})
