import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import * as Embedded from "../src/layers/Embedded.ts"
import { migrate } from "../src/layers/postgres/Migrations.ts"

/** A migrated database of a benchmark's own. */
export interface BenchDatabase {
  readonly ownerUrl: Redacted.Redacted
  readonly appUrl: Redacted.Redacted
}

/** A PostgreSQL with `fsync` and `synchronous_commit` on, in a directory that is removed at the end. */
export class BenchServer extends Context.Service<
  BenchServer,
  {
    readonly version: string
    /** Set as the server reports them: durability is checked, not assumed. */
    readonly durability: string
    readonly database: (name: string) => Effect.Effect<BenchDatabase>
    /** Writes what is dirty now, so that it is not written while something is measured. */
    readonly checkpoint: Effect.Effect<void>
  }
>()("bench/BenchServer") {}

const make = Effect.gen(function* () {
  const server = yield* Embedded.EmbeddedPostgres
  const admin = yield* Effect.map(Layer.build(client(server.superUrl)), (context) =>
    Context.get(context, SqlClient.SqlClient)
  )
  const show = (setting: string) => Effect.map(admin.unsafe(`SHOW ${setting}`).values, ([row]) => String(row?.[0]))
  const settings = yield* Effect.forEach(["fsync", "synchronous_commit", "full_page_writes"], (name) =>
    Effect.map(show(name), (value) => `${name}=${value}`)
  )
  if (settings.some((setting) => !setting.endsWith("=on"))) {
    return yield* Effect.die(new Error(`the bench wants a durable server, not ${settings.join(", ")}`))
  }
  const checkpoint = Effect.asVoid(admin.unsafe("CHECKPOINT"))
  const database = Effect.fnUntraced(function* (name: string) {
    const ownerRole = new URL(Redacted.value(server.ownerUrl)).username
    const appRole = new URL(Redacted.value(server.appUrl)).username
    yield* admin.unsafe(`CREATE DATABASE bench_${name} OWNER ${ownerRole}`)
    const made = {
      ownerUrl: inDatabase(server.ownerUrl, `bench_${name}`),
      appUrl: inDatabase(server.appUrl, `bench_${name}`)
    }
    yield* Effect.provide(migrate({ appRole }), client(made.ownerUrl), { local: true })
    yield* checkpoint
    return made
  })
  return BenchServer.of({
    version: yield* show("server_version"),
    durability: settings.join(", "),
    database: (name) => Effect.orDie(database(name)),
    checkpoint: Effect.orDie(checkpoint)
  })
})

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-governance-bench-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

export const layer = Layer.effect(BenchServer, make).pipe(
  Layer.provide(Layer.unwrap(Effect.map(directory, (dataDir) => Embedded.layer({ dataDir, durable: true }))))
)

const client = (url: Redacted.Redacted) => PgClient.layer({ url, maxConnections: 1, transformJson: false })

const inDatabase = (url: Redacted.Redacted, name: string) => {
  const own = new URL(Redacted.value(url))
  own.pathname = `/${name}`
  return Redacted.make(own.toString())
}
