import { PgClient, PgConnection, PgPool } from "@effect/sql-pg"
import { Config, Context, Effect, Layer, type Redacted, type Scope } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import type { SqlClient } from "effect/sql"
import type { SqlError } from "effect/sql/SqlError"
import { StoreError } from "../../schema/StoreError.ts"
import { normalisedUrl } from "./DatabaseUrl.ts"
import { bounded } from "./Deadline.ts"
import { openIdle } from "./IdleSocket.ts"
import { defaultSchema, quoted, type SchemaName } from "./SchemaName.ts"
import * as SharedClient from "./SharedClient.ts"
import { toStoreError } from "./SqlFailure.ts"

/**
 * How the library reaches Postgres: about 15 connections, opened when needed (PRF-01, ENT-13). Building it never fails and
 * never waits: a database that is down at start must not stop the host (INV-1). Until it answers, each call fails with
 * `StoreError`, so enforcement refuses and observation falls back; the pools heal by themselves.
 */
export class Database extends Context.Service<
  Database,
  {
    readonly schema: SchemaName
    /** Transactions and reads, over the host's pool when it gave one. Never inside a transaction of the host's. */
    readonly sql: SqlClient.SqlClient
    /** Admission and settling. */
    readonly hot: PgPool.PgPool
    /** One connection that only the audit writer uses. */
    readonly writer: PgPool.PgPool
    /** Opens a new direct connection: LISTEN does not get through a transaction pooler. */
    readonly listener: Effect.Effect<PgConnection.PgConnection, SqlError, Scope.Scope>
    /** `"public".` and the like, to stand before every name in a statement. */
    readonly prefix: string
    /** Fails with `StoreError` unless the database answers now. */
    readonly ping: Effect.Effect<void, StoreError>
    /** Made by the first migration, part of the MAC of approval tokens (DEC-09). */
    readonly deploymentId: Effect.Effect<string, StoreError>
  }
>()("effect-governance/layers/postgres/Database") {}

export interface DatabaseOptions {
  /** Default `public`. */
  readonly schema?: SchemaName | undefined
  /** True behind PgBouncer in transaction mode: nothing is prepared, no session defaults are sent (F-14). */
  readonly pooler?: boolean | undefined
  /** Where LISTEN goes when `url` leads to a pooler. */
  readonly directUrl?: Redacted.Redacted | undefined
}

/** Statement timeout of the shared pool (ENT-13), and a bound on what a lost client can hold. */
const sessionDefaults = {
  statement_timeout: "5s",
  lock_timeout: "2s",
  idle_in_transaction_session_timeout: "10s"
}

const connect = (config: PgPool.Config, name: string, max: number, options: DatabaseOptions): PgPool.Config => ({
  ...config,
  applicationName: `governance ${name}`,
  maxConnections: max,
  minConnections: 0,
  idleTimeout: "30 seconds",
  connectTimeout: "2 seconds",
  multiplex: false,
  ...(options.pooler === true ? { prepare: false } : { startupParameters: sessionDefaults })
})

const make = Effect.fnUntraced(function* (
  config: PgPool.Config,
  options: DatabaseOptions,
  own: SqlClient.SqlClient | undefined
) {
  const schema = options.schema ?? defaultSchema
  const prefix = `${quoted(schema)}.`
  const sql = own ?? (yield* PgClient.make({ ...connect(config, "shared", 9, options), transformJson: false }))
  const hot = yield* PgPool.make(connect(config, "hot", 4, options))
  const writer = yield* PgPool.make({
    ...connect(config, "audit", 1, options),
    ...(options.pooler === true ? {} : { startupParameters: { ...sessionDefaults, statement_timeout: "10s" } })
  })
  const direct =
    options.directUrl === undefined
      ? config
      : yield* Effect.map(normalisedUrl(options.directUrl), (url) => ({ ...config, url, stream: undefined }))
  const listener = PgConnection.make({
    ...direct,
    applicationName: "governance listen",
    connectTimeout: "2 seconds",
    multiplex: false
  })

  const ask = (operation: string, text: string) =>
    sql
      .unsafe(text)
      .values.pipe(Effect.mapError(toStoreError("Database", operation)), (query) =>
        bounded(query, "3 seconds", () => new StoreError({ store: "Database", operation, problem: "deadline" }))
      )

  let known: string | undefined
  const deploymentId = Effect.suspend(() =>
    known !== undefined
      ? Effect.succeed(known)
      : Effect.map(
          ask("deploymentId", `SELECT value FROM ${prefix}governance_meta WHERE key = 'deployment_id'`),
          (rows) => {
            known = String(rows[0]?.[0])
            return known
          }
        )
  )

  const database = Database.of({
    schema,
    sql,
    hot,
    writer,
    listener,
    prefix,
    ping: Effect.asVoid(ask("ping", "SELECT 1")),
    deploymentId
  })
  yield* Effect.forkScoped(
    Effect.catch(database.ping, (error) =>
      Effect.logWarning(`Governance starts without its database: ${error.message}. ${error.recoveryHint}`)
    )
  )
  return database
})

/** From a connection string; `postgresql+asyncpg://` and `sslmode` are understood (ENT-17). A malformed one fails the layer. */
export const layerFromUrl = (url: Redacted.Redacted, options: DatabaseOptions = {}) =>
  Layer.effect(
    Database,
    Effect.gen(function* () {
      const normal = yield* normalisedUrl(url)
      return yield* make({ url: normal, ...(yield* openIdle(normal)) }, options, undefined)
    })
  ).pipe(Layer.provide(Reactivity.layer))

/** From `GOVERNANCE_DATABASE_URL` (CFG-01). */
export const layerFromEnv = (options: DatabaseOptions = {}) =>
  Layer.unwrap(Effect.map(Config.Redacted("GOVERNANCE_DATABASE_URL"), (url) => layerFromUrl(url, options)))

/** Shares the host's `PgClient` for reads and transactions; the hot, writer and listener connections are opened beside it. */
export const layerFromClient = (options: DatabaseOptions = {}) =>
  Layer.effect(
    Database,
    Effect.flatMap(PgClient.PgClient, (client) => {
      const { transformQueryNames: _q, transformResultNames: _r, transformJson: _j, ...config } = client.config
      return Effect.flatMap(SharedClient.make(client), (sql) => make(config, options, sql))
    })
  ).pipe(Layer.provide(Reactivity.layer))
