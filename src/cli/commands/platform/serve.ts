import { Config, Effect, Layer, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { notice } from "../../Output.ts"
import { mailServer, platformConfig } from "../../PlatformSurroundings.ts"
import { governance } from "../../Root.ts"

/** Serves the platform until it is interrupted. */
export const serve = Command.make("serve", {
  host: Flag.String("host").pipe(
    Flag.withMetavar("address"),
    Flag.withDescription("Where to listen; behind a proxy that speaks TLS it is this machine alone"),
    Flag.withDefault("127.0.0.1")
  ),
  port: Flag.Int("port").pipe(Flag.withDescription("0 takes any that is free"), Flag.withDefault(4640)),
  publicUrl: Flag.String("public-url").pipe(
    Flag.withMetavar("url"),
    Flag.withDescription("The origin that people and bridges reach it by, such as https://governance.example.com"),
    Flag.withFallbackConfig(Config.String("GOVERNANCE_PLATFORM_URL")),
    Flag.optional
  )
}).pipe(
  Command.withDescription("Serve the platform: ingest, gates, timelines, inbox. Ends with Ctrl-C."),
  Command.withExamples([
    { command: "governance platform serve", description: "On this machine, with an embedded database" },
    {
      command: "governance platform serve --database-url env:PLATFORM_URL --public-url https://governance.example.com",
      description: "Behind a proxy, on a Postgres of your own"
    }
  ]),
  Command.withHandler(
    Effect.fnUntraced(function* ({ host, port, publicUrl }) {
      const flags = yield* governance
      const local = `http://${host.includes(":") ? `[${host}]` : host}:${port}`
      const config = yield* platformConfig(Option.getOrElse(publicUrl, () => local))
      const mail = yield* mailServer
      const server = yield* Effect.promise(() => import("../../PlatformServer.ts"))
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* Layer.build(server.layer(flags, { host, port }, config, mail))
          yield* notice(`The platform serves at ${local}; bridges send to ${config.publicUrl}/api/v1/ingest/events.`)
          if (mail === null) yield* notice("No mail server is named: sign-in links are printed here.")
          return yield* Effect.never
        })
      )
    })
  )
)
