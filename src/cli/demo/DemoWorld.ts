import { PgClient } from "@effect/sql-pg"
import { ConfigProvider, Context, Effect, Layer, Redacted } from "effect"
import { uuidV4Unsafe } from "effect/crypto/SecureRandom"
import { EmbeddedPostgres, layerThrowAway } from "../../layers/Embedded.ts"
import { APP_ROLE } from "../../layers/embedded/ConnectionFile.ts"
import * as Postgres from "../../layers/Postgres.ts"
import { migrate } from "../../layers/postgres/Migrations.ts"
import { learn, Secrets } from "../Redaction.ts"

/** The demo's own database, gone when it ends, and the secret that seals its log. */
export class DemoDatabase extends Context.Service<
  DemoDatabase,
  {
    readonly appUrl: Redacted.Redacted<string>
    readonly ownerUrl: Redacted.Redacted<string>
    readonly superUrl: Redacted.Redacted<string>
    readonly auditSecret: Redacted.Redacted<string>
  }
>()("effect-governance/cli/demo/DemoDatabase") {}

/** A real PostgreSQL with this package's tables. Nothing of the caller's environment gets in, and nothing is kept. */
export const layerDatabase = Layer.effect(
  DemoDatabase,
  Effect.gen(function* () {
    const { appUrl, ownerUrl, superUrl } = yield* EmbeddedPostgres
    const auditSecret = Redacted.make(`${uuidV4Unsafe()}${uuidV4Unsafe()}`.replaceAll("-", ""), {
      label: "audit secret"
    })
    const secrets = yield* Secrets
    for (const secret of [appUrl, ownerUrl, superUrl, auditSecret]) learn(secrets, Redacted.value(secret))
    yield* asRole(ownerUrl)(migrate({ appRole: APP_ROLE }))
    return DemoDatabase.of({ appUrl, ownerUrl, superUrl, auditSecret })
  })
).pipe(Layer.provide(layerThrowAway))

/** Governance as a program has it, on that database. */
export const layerGovernance = Layer.unwrap(
  Effect.map(DemoDatabase, ({ appUrl, auditSecret }) =>
    Postgres.layer({ databaseUrl: appUrl, auditSecret, warnOnNoWrappers: false })
  )
).pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({}))))

/** One connection in a role of the database, for as long as the effect runs. */
export const asRole =
  (url: Redacted.Redacted<string>) =>
  <A, E, R>(self: Effect.Effect<A, E, R>) =>
    Effect.provide(self, PgClient.layer({ url, maxConnections: 1, transformJson: false }), { local: true })
