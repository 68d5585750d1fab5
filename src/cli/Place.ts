import { PgClient } from "@effect/sql-pg"
import { Config, Context, Effect, Layer, Option, Redacted, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { EmbeddedPostgres, layer as embeddedLayer } from "../layers/Embedded.ts"
import { APP_ROLE } from "../layers/embedded/ConnectionFile.ts"
import { keptCheckpoints } from "../layers/embedded/KeptCheckpoints.ts"
import { keptSecret } from "../layers/embedded/KeptSecret.ts"
import * as Database from "../layers/postgres/Database.ts"
import { normalisedUrl } from "../layers/postgres/DatabaseUrl.ts"
import { migrate } from "../layers/postgres/Migrations.ts"
import { SchemaName } from "../layers/postgres/SchemaName.ts"
import { toStoreError } from "../layers/postgres/SqlFailure.ts"
import { UsageError } from "./CliFailure.ts"
import { databaseTarget } from "./DatabaseTarget.ts"
import { notice } from "./Output.ts"
import { learn, Secrets } from "./Redaction.ts"
import type { SharedFlags } from "./Root.ts"

/** Where this command works, once it is known and running: the database, and the audit secret that belongs to it. */
export class Place extends Context.Service<
  Place,
  {
    readonly schema: string
    readonly appUrl: Redacted.Redacted<string>
    readonly ownerUrl: Redacted.Redacted<string>
    /** Known for the embedded database alone. */
    readonly appRole: string | undefined
    readonly auditSecret: Redacted.Redacted<string> | null
    /** Secrets of an embedded log that lie beside its data, replaced or about to be current. */
    readonly otherSecrets: ReadonlyArray<Redacted.Redacted<string>>
    /** Whether `auditSecret` is the one that lies beside the data, and none that was given. */
    readonly secretIsKept: boolean
    /** Key, sink and memory of checkpoints, where they are kept beside an embedded database. */
    readonly checkpoints: Effect.Success<ReturnType<typeof keptCheckpoints>> | null
    /** Private platforms that this command may send to. */
    readonly trustedHosts: ReadonlyArray<string>
    /** The data directory of an embedded database. */
    readonly dataDir: string | null
  }
>()("effect-governance/cli/Place") {}

const make = Effect.fnUntraced(function* (flags: SharedFlags) {
  const secrets = yield* Secrets
  const target = yield* databaseTarget(flags)
  const given = Option.map(yield* optionalSecret, (secret) => {
    learn(secrets, Redacted.value(secret))
    return secret
  })
  if (target._tag === "Url") {
    const url = yield* normalisedUrl(target.url)
    return Place.of({
      schema: flags.schema,
      appUrl: url,
      ownerUrl: url,
      appRole: undefined,
      auditSecret: Option.getOrNull(given),
      checkpoints: null,
      otherSecrets: [],
      secretIsKept: false,
      trustedHosts: flags.trustHost,
      dataDir: null
    })
  }
  const why = target.asked ? "" : " (no --database-url, no GOVERNANCE_DATABASE_URL)"
  yield* notice(`Using the embedded database in ${target.dataDir}${why}.`)
  const server = Context.get(yield* Layer.build(embeddedLayer({ dataDir: target.dataDir })), EmbeddedPostgres)
  for (const url of [server.ownerUrl, server.appUrl, server.superUrl]) learn(secrets, Redacted.value(url))
  const kept = yield* keptSecret(server.dataDir)
  for (const secret of [kept.secret, ...kept.others]) learn(secrets, Redacted.value(secret))
  const checkpoints = yield* keptCheckpoints(server.dataDir)
  learn(secrets, Redacted.value(checkpoints.checkpointKey))
  if (kept.made) yield* notice(`Made an audit secret for it, kept in ${kept.path} (only you can read it).`)
  return Place.of({
    schema: flags.schema,
    appUrl: server.appUrl,
    ownerUrl: server.ownerUrl,
    appRole: APP_ROLE,
    auditSecret: Option.getOrElse(given, () => kept.secret),
    otherSecrets: kept.others,
    secretIsKept: Option.isNone(given),
    trustedHosts: flags.trustHost,
    checkpoints,
    dataDir: server.dataDir
  })
})

/** The place as it is: `migrate` must see what is missing. */
export const layerBare = (flags: SharedFlags) => Layer.effect(Place, make(flags))

/** The place ready for use: an embedded database is brought to this version first. */
export const layer = (flags: SharedFlags) =>
  Layer.effect(
    Place,
    Effect.tap(make(flags), (place) =>
      place.dataDir === null
        ? Effect.void
        : Effect.scoped(
            Effect.provide(migrate({ schema: place.schema, appRole: place.appRole }), ownerClient(place), {
              local: true
            })
          )
    )
  )

/** The name of `--schema`, checked before it stands in a statement. */
export const schemaName = (schema: string) =>
  Effect.mapError(
    Schema.decodeEffect(SchemaName)(schema),
    () =>
      new UsageError({
        subject: "--schema",
        problem: "is no usable name",
        todo: "Use lower-case letters, digits and underscores, at most 63, not starting with pg_."
      })
  )

/** The owner's connection; a database that does not answer is a `StoreError` here as anywhere. */
export const ownerClient = (place: Place["Service"]) => client(place.ownerUrl)
/** The connection of the role that programs use. */
export const appClient = (place: Place["Service"]) => client(place.appUrl)

const client = (url: Redacted.Redacted<string>) =>
  PgClient.layer({
    url,
    maxConnections: 2,
    transformJson: false,
    applicationName: "governance cli",
    connectTimeout: "5 seconds"
  }).pipe(
    Layer.catchTag("SqlError", (error) => Layer.effectContext(Effect.fail(toStoreError("Database", "connect")(error))))
  )

const optionalSecret = Config.option(Config.Redacted("GOVERNANCE_AUDIT_SECRET")).pipe(
  Effect.orElseSucceed(() => Option.none<Redacted.Redacted<string>>()),
  Effect.map(Option.filter((secret) => Redacted.value(secret).trim() !== ""))
)

/**
 * The pools that the stores use. A program starts without its database and waits; a command asks once, on a connection of its
 * own, and says at once that it cannot work.
 */
export const database = (place: Place["Service"]) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const schema = yield* schemaName(place.schema)
      yield* Effect.provide(
        SqlClient.SqlClient.use((sql) => sql.unsafe("SELECT 1").values),
        appClient(place),
        { local: true }
      ).pipe(Effect.catchTag("SqlError", (error) => Effect.fail(toStoreError("Database", "connect")(error))))
      return Database.layerFromUrl(place.appUrl, { schema })
    })
  ).pipe(
    Layer.catchTag("SqlError", (error) => Layer.effectContext(Effect.fail(toStoreError("Database", "connect")(error))))
  )
