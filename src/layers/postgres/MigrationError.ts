import { Schema } from "effect"

/** Why a database was not migrated. Nothing was changed by the step that failed; earlier steps stay. */
export class MigrationError extends Schema.TaggedError<MigrationError>()("MigrationError", {
  problem: Schema.Literals([
    "foreign-tables",
    "changed-file",
    "out-of-order",
    "newer-schema",
    "invalid-name",
    "unusable-role",
    "busy",
    "unreachable",
    "refused"
  ]),
  schema: Schema.String,
  /** The files, tables or names it is about. */
  about: Schema.Array(Schema.String),
  /** What Postgres said. */
  detail: Schema.optional(Schema.String)
}) {
  override get message() {
    const said = this.detail === undefined ? "" : ` (${this.detail})`
    return `Schema "${this.schema}" was not migrated: ${sentences[this.problem]}${this.about.length > 0 ? `: ${this.about.join(", ")}` : ""}${said}`
  }
  get recoveryHint() {
    return hints[this.problem]
  }
}

type Problem = MigrationError["problem"]

const sentences: Record<Problem, string> = {
  "foreign-tables": "it holds governance tables that this package did not make",
  "changed-file": "a migration was changed after it had been applied",
  "out-of-order": "a migration has a lower number than one that is already applied",
  "newer-schema": "it was migrated by a newer version of this package",
  "invalid-name": "not usable as a name",
  "unusable-role": "the application role cannot be given these rights",
  busy: "a lock was not free in time",
  unreachable: "the database cannot be reached",
  refused: "Postgres refused a statement"
}

const hints: Record<Problem, string> = {
  "foreign-tables": "Use another schema: `governance migrate --schema governance`.",
  "changed-file":
    "Install the package version that made this schema, or restore the file; applied migrations never change.",
  "out-of-order": "Give the new migration the next free number.",
  "newer-schema": "Upgrade effect-governance to the version that migrated this schema, or newer.",
  "invalid-name": "Use lower-case letters, digits and underscores, at most 63, not starting with `pg_`.",
  "unusable-role":
    "The role must exist and must not be the one that runs the migration: `CREATE ROLE governance_app LOGIN`.",
  busy: "Run it again; a long transaction on the governance tables holds it up.",
  unreachable: "Check the address and that Postgres accepts connections; `governance doctor` tells more.",
  refused: "Run it as the owner of the schema, with CREATE on it."
}
