import { Effect, Layer } from "effect"
import * as MemoryInboxStore from "../../src/layers/memory/InboxStore.ts"
import * as MemoryIngestStore from "../../src/layers/memory/IngestStore.ts"
import * as MemoryRateLimitStore from "../../src/layers/memory/RateLimitStore.ts"
import * as MemorySignInStore from "../../src/layers/memory/SignInStore.ts"
import * as MemoryWitnessStore from "../../src/layers/memory/WitnessStore.ts"
import * as MemoryWorkspaceStore from "../../src/layers/memory/WorkspaceStore.ts"
import * as Database from "../../src/layers/postgres/Database.ts"
import * as InboxStore from "../../src/layers/postgres/InboxStore.ts"
import * as IngestStore from "../../src/layers/postgres/IngestStore.ts"
import { migrate } from "../../src/layers/postgres/Migrations.ts"
import { platformMigrationFiles } from "../../src/layers/postgres/platformMigrations.generated.ts"
import * as RateLimitStore from "../../src/layers/postgres/RateLimitStore.ts"
import { SchemaName } from "../../src/layers/postgres/SchemaName.ts"
import * as SignInStore from "../../src/layers/postgres/SignInStore.ts"
import * as WitnessStore from "../../src/layers/postgres/WitnessStore.ts"
import * as WorkspaceStore from "../../src/layers/postgres/WorkspaceStore.ts"
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

export const memoryStores = Layer.mergeAll(
  MemoryInboxStore.layer,
  MemoryIngestStore.layer,
  MemoryRateLimitStore.layer,
  MemorySignInStore.layer,
  MemoryWitnessStore.layer
).pipe(Layer.provideMerge(MemoryWorkspaceStore.layer))

/** The stores on whatever database is provided. */
export const stores = Layer.mergeAll(
  InboxStore.layer,
  IngestStore.layer,
  RateLimitStore.layer,
  SignInStore.layer,
  WitnessStore.layer,
  WorkspaceStore.layer
)

/** The platform's stores as the runtime role uses them. */
export const postgresStores = stores.pipe(Layer.provideMerge(database), Layer.provideMerge(platformDatabase))
