import { Effect, Layer } from "effect"
import * as AuditStore from "../../src/layers/postgres/AuditStore.ts"
import * as Database from "../../src/layers/postgres/Database.ts"
import * as StoreTransaction from "../../src/layers/postgres/StoreTransaction.ts"
import * as SubjectKeyStore from "../../src/layers/postgres/SubjectKeyStore.ts"
import * as ChainKeys from "../../src/services/ChainKeys.ts"
import * as SubjectKeyStoreSuite from "../../src/testing/SubjectKeyStoreSuite.ts"
import { freshDatabase, TestDatabase } from "../support/database.ts"

const database = Layer.unwrap(Effect.map(TestDatabase, ({ appUrl }) => Database.layerFromUrl(appUrl)))

SubjectKeyStoreSuite.suite(
  "Postgres",
  Layer.mergeAll(AuditStore.layer, SubjectKeyStore.layer, StoreTransaction.layer).pipe(
    Layer.provide(ChainKeys.layerTest),
    Layer.provide(database),
    Layer.provide(freshDatabase)
  )
)
