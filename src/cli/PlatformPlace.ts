import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import * as PlatformStores from "../layers/PlatformStores.ts"
import { Database } from "../layers/postgres/Database.ts"
import { migrate } from "../layers/postgres/Migrations.ts"
import { platformMigrationFiles } from "../layers/postgres/platformMigrations.generated.ts"
import * as RowSecurity from "../layers/postgres/RowSecurity.ts"
import * as Mailer from "../platform/Mailer.ts"
import { PlatformSettings } from "../platform/PlatformSettings.ts"
import * as SignIn from "../platform/SignIn.ts"
import * as Workflows from "../platform/Workflows.ts"
import type { Finding } from "../schema/Finding.ts"
import { notice } from "./Output.ts"
import * as Place from "./Place.ts"
import { platformConfig } from "./PlatformSurroundings.ts"
import { governance, type SharedFlags } from "./Root.ts"

/** Where the platform's tables are: never among those of the library, whose schema is `public` unless somebody says otherwise. */
const platformSchema = (flags: SharedFlags): string =>
  flags.schema === "public" ? PlatformStores.platformSchema : flags.schema

/** What `migrate` is told for the platform's own tables. */
export const platformTarget = (flags: SharedFlags, appRole: string | undefined) => ({
  schema: platformSchema(flags),
  appRole,
  files: platformMigrationFiles
})

/** An embedded database is brought to this version first, as everywhere. */
const place = (flags: SharedFlags) =>
  Layer.effect(
    Place.Place,
    Effect.gen(function* () {
      const found = yield* Place.Place
      if (found.dataDir !== null) {
        const owner = Place.ownerClient(found)
        yield* Effect.scoped(Effect.provide(migrate(platformTarget(flags, found.appRole)), owner, { local: true }))
      }
      return Place.Place.of({ ...found, schema: platformSchema(flags) })
    })
  ).pipe(Layer.provide(Place.layerBare(flags)))

const database = Layer.unwrap(Effect.map(Place.Place, Place.database))

/** What is wrong with the walls between tenants, one line each; nothing when all is well (P-09). */
export const tellWalls = Effect.fnUntraced(function* (findings: ReadonlyArray<Finding>) {
  for (const { hint, message, status } of findings) {
    if (status !== "ok") yield* notice(`Row security: ${message}. ${hint}`)
  }
})

/** Looks at them when a server starts; one whose database is away at that moment starts nevertheless. */
const walls = Layer.effectDiscard(
  Effect.gen(function* () {
    const { schema, sql } = yield* Database
    yield* Effect.provideService(RowSecurity.examine(schema), SqlClient.SqlClient, sql).pipe(
      Effect.flatMap(tellWalls),
      Effect.catchTag("StoreError", (error) => Effect.logWarning(error.message))
    )
  })
)

const over = <A, E, R>(flags: SharedFlags, layer: Layer.Layer<A, E, R>) =>
  layer.pipe(Layer.provide(database), Layer.provide(place(flags)))

/** The platform's stores on its database. */
const stores = (flags: SharedFlags) => over(flags, PlatformStores.layer)

/** The same for a server, which says at its start what is wrong with the walls. */
export const serverStores = (flags: SharedFlags) => over(flags, Layer.merge(PlatformStores.layer, walls))

/** A command sends no mail: it prints the link that it is asked for. */
const acts = (flags: SharedFlags) =>
  Layer.mergeAll(Workflows.layer, SignIn.layer).pipe(
    Layer.provideMerge(stores(flags)),
    Layer.provide(Mailer.layerPrinted),
    Layer.provide(Layer.effect(PlatformSettings, platformConfig(undefined)))
  )

/** Runs the handler of a command over the platform that the flags name. */
export const withPlatform = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.flatMap(governance, (flags) => Effect.provide(self, acts(flags), { local: true }))
