// A platform inside a program of your own: its routes on your HttpServer, over stores that you choose, with your mailer.
import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Config, Console, Effect, Layer, Redacted } from "effect"
import { HttpServer } from "effect/http"
import * as Platform from "effect-governance/platform"
import * as Stores from "effect-governance/platform/stores"

/** In memory, to try it out. */
const inMemory = Stores.layerMemory

/** On your Postgres, once `Stores.migrate({ appRole })` has run over a `PgClient` of the owner. */
export const onPostgres = Layer.unwrap(
  Effect.map(Config.Redacted("PLATFORM_URL"), (url) => Stores.layerPostgres({ url }))
)

const settings = Layer.succeed(Platform.PlatformSettings, {
  ...Platform.platformDefaults,
  publicUrl: "http://127.0.0.1:4640"
})

const platform = Platform.layer.pipe(
  Layer.provideMerge(Platform.Workflows.layer),
  Layer.provideMerge(inMemory),
  Layer.provide([settings, Platform.Mailer.layerPrinted]),
  Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
)

const program = Effect.gen(function* () {
  const acme = Platform.WorkspaceId.make("acme")
  yield* Platform.WorkspaceStore.use((store) => store.create({ id: acme, name: "Acme", tier: "team" }, Date.now()))
  const made = yield* Platform.Workflows.Workflows.use((workflows) => workflows.create(acme, "production"))
  const token = made === null ? "" : Redacted.value(made.secret)

  const url = yield* HttpServer.addressFormattedWith(Effect.succeed)
  const answer = yield* Effect.promise(() =>
    fetch(`${url}/api/v1/ingest/events`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({
        seq: 1,
        event_id: crypto.randomUUID(),
        event_type: "tool.call",
        agent_id: "clerk",
        session_id: null,
        created_at: new Date().toISOString(),
        metadata: {},
        sdk_version: "0.1.0"
      })
    }).then((response) => response.text())
  )
  yield* Console.log(answer)
})

Effect.runPromise(Effect.provide(program, platform))
