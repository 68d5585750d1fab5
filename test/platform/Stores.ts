import { Effect, Layer } from "effect"
import * as PlatformStores from "../../src/layers/PlatformStores.ts"
import * as Database from "../../src/layers/postgres/Database.ts"
import { migrate } from "../../src/layers/postgres/Migrations.ts"
import { platformMigrationFiles } from "../../src/layers/postgres/platformMigrations.generated.ts"
import { SchemaName } from "../../src/layers/postgres/SchemaName.ts"
import { migratedDatabase, TestDatabase } from "../support/database.ts"

export const schema = SchemaName.make("governance_platform")

/** A database with the platform's tables, in a schema of their own. */
export const platformDatabase = migratedDatabase({
  name: "platform",
  run: ({ appRole }) => migrate({ schema, appRole, files: platformMigrationFiles })
})

/** Connections of the runtime role. */
export const database = Layer.unwrap(
  Effect.map(TestDatabase, ({ appUrl }) => Database.layerFromUrl(appUrl, { schema }))
)

export const memoryStores = PlatformStores.layerMemory

/** The stores on whatever database is provided. */
export const stores = PlatformStores.layer

/** The platform's stores as the runtime role uses them. */
export const postgresStores = stores.pipe(Layer.provideMerge(database), Layer.provideMerge(platformDatabase))
