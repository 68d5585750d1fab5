import { Effect, Layer } from "effect"
import * as AuditStore from "../../src/layers/postgres/AuditStore.ts"
import * as Database from "../../src/layers/postgres/Database.ts"
import * as StoreTransaction from "../../src/layers/postgres/StoreTransaction.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import * as AuditStoreSuite from "../../src/testing/AuditStoreSuite.ts"
import { freshDatabase, TestDatabase } from "../support/database.ts"

const database = Layer.unwrap(Effect.map(TestDatabase, ({ appUrl }) => Database.layerFromUrl(appUrl)))

AuditStoreSuite.suite(
  "Postgres",
  Layer.mergeAll(AuditStore.layer, StoreTransaction.layer).pipe(
    Layer.provideMerge(ChainKeys.layerTest),
    Layer.provide(database),
    Layer.provide(freshDatabase)
  ),
  { clock: "database" }
)
