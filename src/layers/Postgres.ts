import * as NodeServices from "@effect/platform-node/NodeServices"
import { PgClient } from "@effect/sql-pg"
import { Duration, Effect, Layer, type Redacted } from "effect"
import { ConfigurationError } from "../schema/ConfigurationError.ts"
import type { GovernanceConfig } from "../schema/GovernanceConfig.ts"
import * as Audit from "../services/Audit.ts"
import * as AuditFallback from "../services/AuditFallback.ts"
import * as ChainKeys from "../services/ChainKeys.ts"
import * as HaltWriter from "../services/HaltWriter.ts"
import * as KeyFollower from "../services/KeyFollower.ts"
import * as Pricing from "../services/Pricing.ts"
import * as Settings from "../services/Settings.ts"
import * as Attendants from "./Attendants.ts"
import * as CheckpointPlace from "./CheckpointPlace.ts"
import * as EgressDoor from "./EgressDoor.ts"
import * as Embedded from "./Embedded.ts"
import { APP_ROLE } from "./embedded/ConnectionFile.ts"
import { keptCheckpoints } from "./embedded/KeptCheckpoints.ts"
import { keptSecret } from "./embedded/KeptSecret.ts"
import * as Governance from "./Governance.ts"
import * as Identity from "./Identity.ts"
import * as JsonlFallback from "./JsonlFallback.ts"
import * as AdmissionStore from "./postgres/AdmissionStore.ts"
import * as AgentKeyStore from "./postgres/AgentKeyStore.ts"
import * as AuditStore from "./postgres/AuditStore.ts"
import * as BridgeStateStore from "./postgres/BridgeStateStore.ts"
import * as BudgetAlertStore from "./postgres/BudgetAlertStore.ts"
import * as ChainKeyStore from "./postgres/ChainKeyStore.ts"
import * as CheckpointStore from "./postgres/CheckpointStore.ts"
import * as CostStore from "./postgres/CostStore.ts"
import * as CoverageStore from "./postgres/CoverageStore.ts"
import * as Database from "./postgres/Database.ts"
import * as GateStore from "./postgres/GateStore.ts"
import * as LoopStore from "./postgres/LoopStore.ts"
import { migrate } from "./postgres/Migrations.ts"
import * as PolicyStore from "./postgres/PolicyStore.ts"
import * as PresenceStore from "./postgres/PresenceStore.ts"
import * as PromptStore from "./postgres/PromptStore.ts"
import * as ReaderStore from "./postgres/ReaderStore.ts"
import * as RetentionStore from "./postgres/RetentionStore.ts"
import { SchemaName } from "./postgres/SchemaName.ts"
import * as Signal from "./postgres/Signal.ts"
import * as StoreTransaction from "./postgres/StoreTransaction.ts"
import * as SubjectKeyStore from "./postgres/SubjectKeyStore.ts"

/** Connections of the library's own, from `databaseUrl` or GOVERNANCE_DATABASE_URL. Fails without one (ENT-04). */
export const layerDatabase = Layer.unwrap(
  Effect.flatMap(Settings.Settings, ({ databaseUrl, pooler, schema }) =>
    databaseUrl === null
      ? Effect.fail(
          new ConfigurationError({ setting: "databaseUrl", problem: "is not set, nor is GOVERNANCE_DATABASE_URL" })
        )
      : Effect.succeed(Database.layerFromUrl(databaseUrl, { schema: SchemaName.make(schema), pooler }))
  )
)

/** The host's `PgClient` for reads and rare transactions; the hot connections are opened beside it with its settings. */
export const layerDatabaseShared = Layer.unwrap(
  Effect.map(Settings.Settings, ({ pooler, schema }) =>
    Database.layerFromClient({ schema: SchemaName.make(schema), pooler })
  )
)

/** A log that holds rows needs the secret that sealed them; an empty one may begin with a random secret (DEC-18). */
const keys = Layer.unwrap(
  Effect.gen(function* () {
    const settings = yield* Settings.Settings
    const ephemeralAllowed = settings.auditSecret === null && (yield* logIsEmpty)
    return ChainKeys.layer({ secret: settings.auditSecret, historic: settings.historicSecrets, ephemeralAllowed })
  })
)

const logIsEmpty = Effect.flatMap(Database.Database, ({ sql, prefix }) =>
  sql.unsafe(`SELECT 1 FROM ${prefix}governance_audit_chain_heads LIMIT 1`).values.pipe(
    Effect.map((rows) => rows.length === 0),
    Effect.orElseSucceed(() => false)
  )
)

/** Events that wait for Postgres go to disk. In test mode, to memory: tests leave nothing behind. */
const fallback = Layer.unwrap(
  Effect.map(Settings.Settings, ({ fallbackDir, testMode }) =>
    testMode && fallbackDir === null
      ? AuditFallback.layerMemory
      : JsonlFallback.layerWith({ directory: fallbackDir }).pipe(Layer.provide(NodeServices.layer))
  )
)

/** A caller waits for admission as long as the configuration says, its place in the queue included. */
const admission = Layer.unwrap(
  Effect.map(Settings.Settings, ({ enforcementDeadline }) =>
    AdmissionStore.layerWith({ deadlineMs: Duration.toMillis(enforcementDeadline) })
  )
)

/** Every store over a `Database`. The tables must be there: `layerMigrations` or `governance migrate`. */
export const layerStores = Layer.mergeAll(
  admission,
  AgentKeyStore.layer,
  CostStore.layer,
  CoverageStore.layer,
  GateStore.layer,
  LoopStore.layer,
  PolicyStore.layer,
  PresenceStore.layer,
  PromptStore.layer,
  AuditStore.layer,
  BridgeStateStore.layer,
  BudgetAlertStore.layer,
  SubjectKeyStore.layer,
  CheckpointStore.layer,
  Layer.provide(CheckpointPlace.layer, CheckpointStore.layer),
  ReaderStore.layer,
  RetentionStore.layer,
  StoreTransaction.layer,
  Signal.layer,
  ChainKeyStore.layer,
  fallback
).pipe(Layer.provideMerge(keys), Layer.provideMerge(Identity.layer))

/** Halts through `haltDatabaseUrl` where it is set: stores of their own on a connection that may write them (CFG-31, V8-14). */
export const layerHaltWriter = Layer.unwrap(
  Effect.map(
    Settings.Settings,
    (settings): Layer.Layer<HaltWriter.HaltWriter, Layer.Error<ReturnType<typeof privileged>>, HaltWriterNeeds> =>
      settings.haltDatabaseUrl === null ? HaltWriter.layer : privileged(settings.haltDatabaseUrl, settings)
  )
)

type HaltWriterNeeds = Layer.Services<typeof HaltWriter.layer> | ChainKeys.ChainKeys

const privileged = (url: Redacted.Redacted<string>, { pooler, schema }: GovernanceConfig) =>
  Layer.fresh(
    HaltWriter.layer.pipe(
      Layer.provide(Audit.layerWith()),
      Layer.provide([PresenceStore.layer, StoreTransaction.layer, AuditStore.layer, AuditFallback.layerMemory]),
      Layer.provide(Database.layerFromUrl(url, { schema: SchemaName.make(schema), pooler }))
    )
  )

const over = <A, E, R>(database: Layer.Layer<Database.Database | A, E, R>, options: Settings.GovernanceOptions) =>
  Attendants.layer.pipe(
    Layer.provideMerge(Governance.layerWith(layerHaltWriter)),
    Layer.provideMerge(Pricing.layerSettings()),
    Layer.provideMerge(Layer.merge(KeyFollower.layer, EgressDoor.layer)),
    Layer.provideMerge(layerStores),
    Layer.provideMerge(database),
    Layer.provideMerge(Settings.layer(options))
  )

/** All of governance on Postgres. A database that does not answer at start does not stop the host: calls are refused until it does. */
export const layer = (options: Settings.GovernanceOptions = {}) => over(layerDatabase, options)

/** The same beside the application's own `PgClient`. */
export const layerShared = (options: Settings.GovernanceOptions = {}) => over(layerDatabaseShared, options)

/**
 * All of governance on the PostgreSQL that comes along, kept in `dataDir` (default `./.governance`), migrated, with an audit
 * secret beside its data unless one is given (DEC-18). Several processes may open it at once.
 */
export const layerEmbedded = ({
  dataDir,
  ...options
}: Settings.GovernanceOptions & { readonly dataDir?: string } = {}) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const server = yield* Embedded.EmbeddedPostgres
      const owner = PgClient.layer({ url: server.ownerUrl, maxConnections: 1, transformJson: false })
      const target = { appRole: APP_ROLE, ...(options.schema === undefined ? {} : { schema: options.schema }) }
      yield* Effect.scoped(Effect.provide(migrate(target), owner, { local: true }))
      const { others, secret } = yield* keptSecret(server.dataDir)
      return layer({
        auditSecret: secret,
        ...(yield* keptCheckpoints(server.dataDir)),
        ...options,
        historicSecrets: [...others, ...(options.historicSecrets ?? [])],
        databaseUrl: server.appUrl
      })
    })
  ).pipe(Layer.provideMerge(Embedded.layer(dataDir === undefined ? {} : { dataDir })))

/** Brings the schema to this version before anything else uses it; needs the owner's connection as `SqlClient`. */
export const layerMigrations = (options?: Parameters<typeof migrate>[0]) => Layer.effectDiscard(migrate(options))
