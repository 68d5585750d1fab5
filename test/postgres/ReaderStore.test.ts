import { Effect, Layer } from "effect"
import * as Database from "../../src/layers/postgres/Database.ts"
import * as ReaderStore from "../../src/layers/postgres/ReaderStore.ts"
import * as ReaderStoreSuite from "../../src/testing/ReaderStoreSuite.ts"
import { databaseClock } from "../../src/testing/StoreSet.ts"
import { freshDatabase, TestDatabase } from "../support/database.ts"

const database = Layer.unwrap(Effect.map(TestDatabase, ({ appUrl }) => Database.layerFromUrl(appUrl)))

ReaderStoreSuite.suite(
  "Postgres",
  ReaderStore.layer.pipe(Layer.provide(database), Layer.provide(freshDatabase)),
  databaseClock
)
