import { moduleOf } from "./migrations.ts"

/** The tables of the platform, which live in a schema of their own. */
export default moduleOf(
  "migrations/platform",
  "src/layers/postgres/platformMigrations.generated.ts",
  "platformMigrationFiles"
)
