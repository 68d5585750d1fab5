import { Effect, Layer } from "effect"
import * as Database from "../../src/layers/postgres/Database.ts"
import * as StoreTransaction from "../../src/layers/postgres/StoreTransaction.ts"
import * as SubjectKeyStore from "../../src/layers/postgres/SubjectKeyStore.ts"
import * as SubjectKeyStoreSuite from "../../src/testing/SubjectKeyStoreSuite.ts"
import { freshDatabase, TestDatabase } from "../support/database.ts"

const database = Layer.unwrap(Effect.map(TestDatabase, ({ appUrl }) => Database.layerFromUrl(appUrl)))

SubjectKeyStoreSuite.suite(
  "Postgres",
  Layer.merge(SubjectKeyStore.layer, StoreTransaction.layer).pipe(Layer.provide(database), Layer.provide(freshDatabase))
)
