import { Effect, Layer } from "effect"
import * as Postgres from "../../src/layers/Postgres.ts"
import * as RetentionSuite from "../../src/testing/RetentionSuite.ts"
import { freshDatabase, TestDatabase } from "../support/database.ts"

const owner = Layer.unwrap(
  Effect.map(TestDatabase, ({ ownerUrl }) =>
    Postgres.layer({ databaseUrl: ownerUrl, testMode: true, warnOnNoWrappers: false })
  )
)

RetentionSuite.suite("Postgres", owner.pipe(Layer.provide(freshDatabase)))
