import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import * as Finding from "../../schema/Finding.ts"
import { StoreError } from "../../schema/StoreError.ts"
import * as AppendOnly from "./AppendOnly.ts"
import { bounded } from "./Deadline.ts"
import * as Migrations from "./Migrations.ts"
import { defaultSchema, type SchemaName } from "./SchemaName.ts"
import { toStoreError } from "./SqlFailure.ts"

/**
 * What the database says about itself: migrations, append-only triggers, rights of the role that asks, function
 * security, durability settings (F-12), standby (H-12). Run it as the runtime role. Fails only when the database does not
 * answer within 10 s.
 */
export const examine = Effect.fn("Doctor.examine")(function* (schema: SchemaName = defaultSchema) {
  const sql = yield* SqlClient.SqlClient
  const rows = (text: string, parameters: ReadonlyArray<unknown> = []) => sql.unsafe(text, parameters).values
  const findings = Effect.gen(function* () {
    const migrations = yield* applied(schema)
    const server = [...settings(yield* rows(settingsQuery)), ...standby(yield* rows("SELECT pg_is_in_recovery()"))]
    if (migrations.status === "fail") return [migrations, ...server]
    return [
      migrations,
      ...AppendOnly.findings(yield* rows(AppendOnly.triggersQuery, [schema])),
      ...tables(yield* rows(tablesQuery, [schema])),
      ...functions(yield* rows(functionsQuery, [schema])),
      ...roles(yield* rows(roleQuery, [schema])),
      ...server
    ]
  })
  return yield* bounded(
    Effect.mapError(findings, toStoreError("Database", "examine")),
    "10 seconds",
    () => new StoreError({ store: "Database", operation: "examine", problem: "deadline" })
  )
})

const applied = (schema: SchemaName) =>
  Migrations.status({ schema }).pipe(
    Effect.map(({ applied, pending }) =>
      pending.length === 0
        ? Finding.ok("migrations", `${applied.length} applied, none missing`)
        : Finding.fail(
            "migrations",
            `missing: ${pending.map((file) => file.name).join(", ")}`,
            "Run `governance migrate`."
          )
    ),
    Effect.catchTag("MigrationError", (error) =>
      Effect.succeed(Finding.fail("migrations", error.message, error.recoveryHint))
    )
  )

type Rows = ReadonlyArray<ReadonlyArray<unknown>>

const tablesQuery = `SELECT c.relname::text, c.relpersistence::text,
    concat_ws(' ', CASE WHEN has_table_privilege(c.oid, 'INSERT') THEN 'INSERT' END,
           CASE WHEN has_table_privilege(c.oid, 'UPDATE') THEN 'UPDATE' END,
           CASE WHEN has_table_privilege(c.oid, 'DELETE') THEN 'DELETE' END,
           CASE WHEN has_table_privilege(c.oid, 'TRUNCATE') THEN 'TRUNCATE' END,
           CASE WHEN has_table_privilege(c.oid, 'TRIGGER') THEN 'TRIGGER' END)
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND c.relname LIKE 'governance\\_%' ORDER BY 1`

const tables = (found: Rows): ReadonlyArray<Finding.Finding> => {
  const unlogged = found.filter((row) => row[1] !== "p").map((row) => String(row[0]))
  const open = found.filter((row) => row[2] !== "").map((row) => `${row[0]} (${row[2]})`)
  return [
    unlogged.length === 0
      ? Finding.ok("tables", "all are logged")
      : Finding.fail("tables", `unlogged, lost in a crash: ${unlogged.join(", ")}`, "ALTER TABLE ... SET LOGGED."),
    open.length === 0
      ? Finding.ok("rights", "this role can change no table directly")
      : Finding.warn(
          "rights",
          `this role may write past the functions that guard them: ${open.join(", ")}`,
          "Run the host as a role of its own: `governance migrate --app-role <role>` as the owner."
        )
  ]
}

const functionsQuery = `SELECT p.proname::text, p.prosecdef, coalesce(array_to_string(p.proconfig, ' '), ''),
    has_function_privilege(p.oid, 'EXECUTE'),
    EXISTS (SELECT 1 FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0),
    pg_has_role(current_user, p.proowner, 'MEMBER')
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  WHERE n.nspname = $1 AND p.proname LIKE 'governance\\_%' ORDER BY 1`

const functions = (found: Rows): ReadonlyArray<Finding.Finding> => {
  const check = "functions"
  const unpinned = found.filter((row) => row[1] === true && !String(row[2]).includes("search_path=pg_catalog"))
  const everyone = found.filter((row) => row[1] === true && row[4] === true)
  const append = found.find((row) => row[0] === "governance_append_many")
  const findings: Array<Finding.Finding> = []
  if (unpinned.length > 0) {
    findings.push(
      Finding.fail(
        check,
        `search_path is not pinned: ${unpinned.map((row) => row[0]).join(", ")}`,
        "Restore them from the migrations."
      )
    )
  }
  if (everyone.length > 0) {
    findings.push(
      Finding.fail(
        check,
        `everybody may call ${everyone.map((row) => row[0]).join(", ")}`,
        "REVOKE EXECUTE ... FROM PUBLIC."
      )
    )
  }
  if (append === undefined || append[1] !== true || append[3] !== true) {
    findings.push(
      Finding.fail(
        check,
        append === undefined ? "governance_append_many is missing" : "this role cannot append to the audit log",
        "Run `governance migrate --app-role <this role>` as the owner."
      )
    )
  }
  const pruning = found.filter((row) => row[3] === true && row[5] !== true && ownersOnly.has(String(row[0])))
  if (pruning.length > 0) {
    findings.push(
      Finding.warn(
        check,
        `this role may call ${pruning.map((row) => row[0]).join(", ")}`,
        "Pruning, releasing holds and taking checkpoints back are the owner's: run the host as a role of its own, or REVOKE EXECUTE from it."
      )
    )
  }
  return findings.length > 0 ? findings : [Finding.ok(check, "security and rights are as migrated")]
}

const ownersOnly = new Set([
  "governance_prune_segment",
  "governance_seal_segment",
  "governance_release_hold",
  "governance_retake_checkpoint"
])

const roleQuery = `SELECT r.rolsuper, r.rolbypassrls, pg_has_role(current_user, c.relowner, 'MEMBER')
  FROM pg_catalog.pg_roles r, pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE r.rolname = current_user AND n.nspname = $1 AND c.relname = 'governance_audit_events'`

const roles = ([row]: Rows): ReadonlyArray<Finding.Finding> => [
  row?.[0] === true || row?.[2] === true
    ? Finding.warn(
        "role",
        row[0] === true ? "this role is a superuser" : "this role owns the audit tables",
        "Owner and runtime role should be apart: whoever owns the table can switch its triggers off (A-20)."
      )
    : Finding.ok("role", "owner and runtime role are apart")
]

const settingsQuery = `SELECT name::text, setting::text FROM pg_catalog.pg_settings
  WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes') ORDER BY name`

const settings = (found: Rows): ReadonlyArray<Finding.Finding> =>
  found.map(([name, setting]) =>
    setting === "off"
      ? Finding.warn("durability", `${name} is off: acknowledged events can be lost in a crash`, `Set ${name} to on.`)
      : Finding.ok("durability", `${name} is ${setting}`)
  )

const standby = ([row]: Rows): ReadonlyArray<Finding.Finding> => [
  row?.[0] === true
    ? Finding.fail("primary", "this is a standby: it lags behind and takes no writes", "Point the URL at the primary.")
    : Finding.ok("primary", "this server takes writes")
]
