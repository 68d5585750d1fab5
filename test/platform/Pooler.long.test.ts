import { describe } from "@effect/vitest"
import { Effect, Layer, Schedule } from "effect"
import * as Database from "../../src/layers/postgres/Database.ts"
import * as InboxStoreSuite from "../../src/testing/InboxStoreSuite.ts"
import * as IngestStoreSuite from "../../src/testing/IngestStoreSuite.ts"
import * as SignInStoreSuite from "../../src/testing/SignInStoreSuite.ts"
import * as WitnessStoreSuite from "../../src/testing/WitnessStoreSuite.ts"
import * as WorkspaceStoreSuite from "../../src/testing/WorkspaceStoreSuite.ts"
import * as PgBouncer from "../faults/PgBouncer.ts"
import { TestDatabase } from "../support/database.ts"
import { platformDatabase, schema, stores } from "./Stores.ts"

const wait = Schedule.spaced("50 millis")

/** Two server connections for many callers: what one leaves behind, the next one finds. */
const pooled = Layer.unwrap(
  Effect.gen(function* () {
    const { appUrl } = yield* TestDatabase
    const url = yield* PgBouncer.make(appUrl, { servers: 2 })
    const ready = Effect.tap(Database.Database, ({ ping }) => Effect.retry(ping, { times: 100, schedule: wait }))
    return Layer.effect(Database.Database, ready).pipe(
      Layer.provide(Database.layerFromUrl(url, { schema, pooler: true }))
    )
  })
)
const pooledStores = stores.pipe(Layer.provide(pooled), Layer.provide(platformDatabase))

describe.skipIf(PgBouncer.binary === undefined)("The platform's stores behind PgBouncer (P-09, F-14)", () => {
  WorkspaceStoreSuite.suite("PgBouncer", pooledStores)
  IngestStoreSuite.suite("PgBouncer", pooledStores)
  InboxStoreSuite.suite("PgBouncer", pooledStores)
  SignInStoreSuite.suite("PgBouncer", pooledStores)
  WitnessStoreSuite.suite("PgBouncer", pooledStores)
})
