import { Schema } from "effect"

/**
 * The Postgres schema that holds the `governance_*` tables (DEC-01): `public` unless `--schema` says otherwise. Every
 * statement names it, since a `search_path` does not survive a transaction pooler.
 */
export const SchemaName = Schema.String.check(Schema.isPattern(/^(?!pg_)[a-z_][a-z0-9_]{0,62}$/)).pipe(
  Schema.brand("SchemaName")
)
export type SchemaName = typeof SchemaName.Type

/** A role of the database server. Always rendered in quotes. */
export const RoleName = Schema.String.check(
  Schema.isPattern(/^(?!pg_)(?!public$)[A-Za-z_][A-Za-z0-9_.@-]{0,62}$/)
).pipe(Schema.brand("RoleName"))
export type RoleName = typeof RoleName.Type

export const defaultSchema: SchemaName = SchemaName.make("public")

/** Safe because both name formats exclude the double quote. */
export const quoted = (name: SchemaName | RoleName): string => `"${name}"`
