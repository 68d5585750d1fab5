import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { MigrationError } from "./MigrationError.ts"
import type { MigrationFile } from "./MigrationSql.ts"
import type { RoleName, SchemaName } from "./SchemaName.ts"

/** Where to migrate, with names that were checked. */
export interface Target {
  readonly schema: SchemaName
  readonly appRole: RoleName | undefined
  readonly files: ReadonlyArray<MigrationFile>
  readonly table: string
}

interface Applied {
  readonly id: number
  readonly label: string
  readonly checksum: string
}

export const label = (file: { readonly id: number; readonly name: string }) =>
  `${String(file.id).padStart(4, "0")}_${file.name}`

export const values = (text: string, params: ReadonlyArray<unknown> = []) =>
  SqlClient.SqlClient.use((sql) => sql.unsafe(text, params).values)

const relations = `SELECT c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname LIKE 'governance\\_%' ORDER BY 1`
const columns = `SELECT a.attname::text FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = 'governance_migrations' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1`

/** Reads what is recorded and decides, without a lock, what is missing or wrong. */
export const load = Effect.fnUntraced(function* (target: Target) {
  const present = (yield* values(relations, [target.schema])).map(([name]) => String(name))
  const recorded = present.includes("governance_migrations")
  const shape = recorded ? (yield* values(columns, [target.schema])).map(([name]) => String(name)).join() : ""
  const others = present.filter((name) => name !== "governance_migrations")
  const refuse = (problem: MigrationError["problem"], about: ReadonlyArray<string>) =>
    new MigrationError({ problem, schema: target.schema, about })
  if (recorded && shape !== "applied_at,checksum,id,name") return yield* refuse("foreign-tables", present)
  const applied = recorded
    ? (yield* values(`SELECT id, name, checksum FROM ${target.table} ORDER BY id`)).map(
        ([id, name, checksum]): Applied => ({
          id: Number(id),
          label: label({ id: Number(id), name: String(name) }),
          checksum: String(checksum)
        })
      )
    : []
  if (applied.length === 0 && others.length > 0) return yield* refuse("foreign-tables", others)

  const head = applied.at(-1)?.id ?? 0
  const known = new Map(target.files.map((file) => [file.id, file]))
  const newest = Math.max(0, ...known.keys())
  const newer = applied.filter((row) => row.id > newest)
  if (newer.length > 0)
    return yield* refuse(
      "newer-schema",
      newer.map((row) => row.label)
    )
  const changed = applied.filter((row) => known.get(row.id)?.checksum !== row.checksum)
  if (changed.length > 0)
    return yield* refuse(
      "changed-file",
      changed.map((row) => row.label)
    )
  const done = new Set(applied.map((row) => row.id))
  const pending = target.files.filter((file) => !done.has(file.id)).sort((a, b) => a.id - b.id)
  const late = pending.filter((file) => file.id < head)
  if (late.length > 0) return yield* refuse("out-of-order", late.map(label))
  return { recorded, applied, pending }
})
