import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import * as Finding from "../../schema/Finding.ts"
import { StoreError } from "../../schema/StoreError.ts"
import { bounded } from "./Deadline.ts"
import type { RoleName, SchemaName } from "./SchemaName.ts"
import { toStoreError } from "./SqlFailure.ts"

/**
 * Whether the database itself keeps the platform's tenants apart (P-09): forced policies on every table that has a workspace,
 * and a role that they bind. `role` is who the server connects as, without it whoever asks. Fails only when the database does
 * not answer within 10 s.
 */
export const examine = Effect.fn("RowSecurity.examine")(function* (schema: SchemaName, role?: RoleName) {
  const sql = yield* SqlClient.SqlClient
  const rows = (text: string, params: ReadonlyArray<unknown>) => sql.unsafe(text, params).values
  return yield* bounded(
    Effect.gen(function* () {
      return [tables(yield* rows(tablesQuery, [schema])), binds(yield* rows(roleQuery, [schema, role ?? null]))]
    }).pipe(Effect.mapError(toStoreError("Database", "examine"))),
    "10 seconds",
    () => new StoreError({ store: "Database", operation: "examine", problem: "deadline" })
  )
})

type Rows = ReadonlyArray<ReadonlyArray<unknown>>

// Policies are joined by OR, so a second one of any name would open what the first one closes.
const tablesQuery = `SELECT c.relname::text, c.relrowsecurity AND c.relforcerowsecurity AND (
    SELECT count(*) = 1 AND bool_and(p.polname = 'governance_tenant' AND p.polcmd = '*' AND p.polroles = '{0}'
             AND p.polwithcheck IS NULL AND pg_get_expr(p.polqual, p.polrelid) LIKE '%governance_tenant()%')
      FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid AND p.polpermissive)
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = c.oid AND a.attname = 'workspace' AND NOT a.attisdropped) ORDER BY 1`

const tables = (found: Rows): Finding.Finding => {
  const open = found.filter(([, closed]) => closed !== true).map(([name]) => String(name))
  return found.length > 0 && open.length === 0
    ? Finding.ok(check, `forced on ${found.length} tables`)
    : Finding.fail(
        check,
        found.length === 0 ? "the platform's tables are missing" : `not as migrated: ${open.join(", ")}`,
        "Run `governance platform migrate` as the owner; if it changes nothing, restore the policy from migration 0007."
      )
}

const roleQuery = `SELECT r.rolsuper OR r.rolbypassrls, EXISTS (SELECT 1 FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = 'governance_workspaces' AND pg_has_role(r.oid, c.relowner, 'MEMBER'))
  FROM pg_catalog.pg_roles r WHERE r.rolname = coalesce($2, current_user)`

const binds = ([row]: Rows): Finding.Finding =>
  row?.[0] === true
    ? Finding.warn(check, "this role is not bound by it: a superuser, or one with BYPASSRLS", ownRole)
    : row?.[1] === true
      ? Finding.warn(check, "this role owns the tables: it is bound, and could unbind itself", ownRole)
      : Finding.ok(check, "binds the role that serves")

const check = "row security"
const ownRole = "Serve as a role of its own: `governance platform migrate --app-role <role>` as the owner."
